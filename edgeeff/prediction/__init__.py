"""What a network would take on a device, estimated by a model that is fitted there."""
