// Times one .tflite file over LiteRT's C API, in one fresh process, and keeps every sample: edgeeff-native-runner.
//
// It opens libLiteRt.so itself, so it needs no header and no library of LiteRT's to be built:
//     clang -O2 -o litert_runner litert_runner.c -ldl        (an NDK's clang for Android)
//
//     litert_runner LIBRARY MODEL ACCELERATOR THREADS SEED WARMUP_RUNS WARMUP_S MIN_RUNS MAX_RUNS MAX_S TIMEOUT_S
//
// It writes JSON objects, one a line, to standard output, as benchmarks/_runner does: "loaded", "samples", "error".
// Signatures and the layout of LiteRtRankedTensorType: litert/c of LiteRT 2 (72 bytes, "ABI stable" by its headers).

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

typedef int Status;
typedef void *Handle;
typedef struct {
  int32_t element_type;
  int32_t layout[17];
} TensorType;

enum { kCpu = 1, kGpu = 2, kNpu = 4 };
enum { kFloat32 = 1, kFloat16 = 10, kFloat64 = 11, kInt8 = 9, kUInt8 = 3 };
enum { kLockWrite = 1 };

static void *library;

static void fail(const char *code, const char *message, Status status) {
  printf("{\"record\": \"error\", \"code\": \"%s\", \"message\": \"", code);
  for (; *message; message++) {
    if (*message == '"' || *message == '\\') putchar('\\');
    putchar((unsigned char)*message < ' ' ? ' ' : *message);
  }
  if (status != 0) printf(" (LiteRT's status %d)", status);
  printf("\"}\n");
  exit(1);
}

static void *symbol(const char *name) {
  void *found = dlsym(library, name);
  if (found == NULL) {
    char message[128];
    snprintf(message, sizeof message, "this libLiteRt.so has no %s: take one of LiteRT 2", name);
    fail("library", message, 0);
  }
  return found;
}

// Calls a function of the library and ends where it does not succeed.
#define CALL(name, types, ...)                                    \
  do {                                                            \
    Status status = ((Status(*) types)symbol(#name))(__VA_ARGS__); \
    if (status != 0) fail("runtime", #name " failed", status);    \
  } while (0)

static int64_t now_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// VmHWM (peak) or VmRSS (now) in bytes; -1 where it cannot be read.
static int64_t memory_bytes(const char *field) {
  FILE *file = fopen("/proc/self/status", "r");
  if (file == NULL) return -1;
  char line[256];
  long long kilobytes = -1;
  size_t length = strlen(field);
  while (fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, field, length) == 0 && line[length] == ':') sscanf(line + length + 1, "%lld", &kilobytes);
  fclose(file);
  return kilobytes < 0 ? -1 : kilobytes * 1024;
}

static long involuntary_switches(void) {
  struct rusage usage;
  return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_nivcsw : -1;
}

static void print_bytes(const char *name, int64_t bytes) {
  if (bytes < 0) printf(", \"%s\": null", name);
  else printf(", \"%s\": %lld", name, (long long)bytes);
}

// So that start-up and first inference measure the runtime and not the disk.
static void read_into_page_cache(const char *path) {
  static char block[1 << 16];
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail("model", "the model cannot be opened", 0);
  while (fread(block, 1, sizeof block, file) > 0) {}
  fclose(file);
}

static uint64_t state;
static double uniform(void) {  // xorshift64*, in [-1, 1)
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (double)(int64_t)(state * 2685821657736338717ULL) / 9223372036854775808.0;
}

// Images: floats about zero, bytes over their whole range; other integers are indices or masks, where 0 is in range.
static void fill(void *data, size_t bytes, int32_t type) {
  memset(data, 0, bytes);
  if (type == kFloat32)
    for (size_t i = 0; i < bytes / 4; i++) ((float *)data)[i] = (float)(2 * uniform());
  else if (type == kFloat64)
    for (size_t i = 0; i < bytes / 8; i++) ((double *)data)[i] = 2 * uniform();
  else if (type == kInt8 || type == kUInt8)
    for (size_t i = 0; i < bytes; i++) ((uint8_t *)data)[i] = (uint8_t)(int)(127.5 * uniform() + 127.5);
  else if (type == kFloat16)
    for (size_t i = 0; i < bytes / 2; i++) ((uint16_t *)data)[i] = (uint16_t)(0x3800 | (i & 0x1ff));
}

static void add_options(Handle options, const char *identifier, const char *toml) {
  Handle opaque;
  CALL(LiteRtCreateOpaqueOptions, (const char *, void *, void (*)(void *), Handle *), identifier, strdup(toml), free,
       &opaque);
  CALL(LiteRtAddOpaqueOptions, (Handle, Handle), options, opaque);
}

// A managed buffer as the compiled model wants it, for an input (which is filled) or an output.
static Handle buffer_for(Handle environment, Handle compiled, Handle signature, size_t index, bool input) {
  Handle tensor, requirements, buffer;
  TensorType type;
  memset(&type, 0, sizeof type);
  if (input) {
    CALL(LiteRtGetSignatureInputTensorByIndex, (Handle, size_t, Handle *), signature, index, &tensor);
    CALL(LiteRtGetCompiledModelInputBufferRequirements, (Handle, size_t, size_t, Handle *), compiled, 0, index,
         &requirements);
  } else {
    CALL(LiteRtGetSignatureOutputTensorByIndex, (Handle, size_t, Handle *), signature, index, &tensor);
    CALL(LiteRtGetCompiledModelOutputBufferRequirements, (Handle, size_t, size_t, Handle *), compiled, 0, index,
         &requirements);
  }
  CALL(LiteRtGetRankedTensorType, (Handle, TensorType *), tensor, &type);
  CALL(LiteRtCreateManagedTensorBufferFromRequirements, (Handle, const TensorType *, Handle, Handle *), environment,
       &type, requirements, &buffer);
  if (input) {
    void *data;
    size_t bytes;
    CALL(LiteRtGetTensorBufferPackedSize, (Handle, size_t *), buffer, &bytes);
    CALL(LiteRtLockTensorBuffer, (Handle, void **, int), buffer, &data, kLockWrite);
    fill(data, bytes, type.element_type);
    CALL(LiteRtUnlockTensorBuffer, (Handle), buffer);
  }
  return buffer;
}

typedef Status (*Run)(Handle, size_t, size_t, Handle *, size_t, Handle *);

static Run run;
static Handle compiled, *inputs, *outputs;
static size_t input_count, output_count;

static void invoke(void) {
  Status status = run(compiled, 0, input_count, inputs, output_count, outputs);
  if (status != 0) fail("runtime", "LiteRtRunCompiledModel failed", status);
}

static void load(const char *model_path, const char *accelerator, int threads) {
  Handle environment, model, options, signature;
  int set = strcmp(accelerator, "gpu") == 0 ? kGpu | kCpu : strcmp(accelerator, "npu") == 0 ? kNpu | kCpu : kCpu;
  char toml[64];
  snprintf(toml, sizeof toml, "num_threads = %d\n", threads);
  CALL(LiteRtCreateEnvironment, (int, const void *, Handle *), 0, NULL, &environment);
  CALL(LiteRtCreateModelFromFile, (Handle, const char *, Handle *), environment, model_path, &model);
  CALL(LiteRtCreateOptions, (Handle *), &options);
  CALL(LiteRtSetOptionsHardwareAccelerators, (Handle, int), options, set);
  add_options(options, "xnnpack", toml);
  CALL(LiteRtCreateCompiledModel, (Handle, Handle, Handle, Handle *), environment, model, options, &compiled);
  CALL(LiteRtGetModelSignature, (Handle, size_t, Handle *), model, 0, &signature);
  CALL(LiteRtGetNumSignatureInputs, (Handle, size_t *), signature, &input_count);
  CALL(LiteRtGetNumSignatureOutputs, (Handle, size_t *), signature, &output_count);
  inputs = calloc(input_count + 1, sizeof *inputs);
  outputs = calloc(output_count + 1, sizeof *outputs);
  for (size_t i = 0; i < input_count; i++) inputs[i] = buffer_for(environment, compiled, signature, i, true);
  for (size_t i = 0; i < output_count; i++) outputs[i] = buffer_for(environment, compiled, signature, i, false);
  run = (Run)symbol("LiteRtRunCompiledModel");
}

int main(int argc, char **argv) {
  if (argc != 12) {
    fprintf(stderr, "edgeeff-native-runner 1: LIBRARY MODEL ACCELERATOR THREADS SEED WARMUP_RUNS WARMUP_S MIN_RUNS "
                    "MAX_RUNS MAX_S TIMEOUT_S\n");
    return 2;
  }
  // The runtime may print to standard output: that goes to standard error, and only records go out.
  fflush(stdout);
  int out = dup(1);
  dup2(2, 1);
  stdout = fdopen(out, "w");
  setvbuf(stdout, NULL, _IOLBF, 0);
  const char *accelerator = argv[3];
  state = strtoull(argv[5], NULL, 10) * 2 + 1;
  long warmup_runs = atol(argv[6]), min_runs = atol(argv[8]), max_runs = atol(argv[9]);
  double warmup_s = atof(argv[7]), max_s = atof(argv[10]);
  alarm((unsigned)atof(argv[11]) + 1);  // ends a hung run by itself: the device's other end may be gone by then
  library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    char message[512];
    snprintf(message, sizeof message, "libLiteRt.so cannot be loaded: %s", dlerror());
    fail("library", message, 0);
  }
  read_into_page_cache(argv[2]);
  int64_t baseline = memory_bytes("VmRSS");
  int64_t began = now_ns(CLOCK_MONOTONIC);
  load(argv[2], accelerator, atoi(argv[4]));
  double startup = (double)(now_ns(CLOCK_MONOTONIC) - began) / 1e9;
  bool fully = false;
  const char *question = strcmp(accelerator, "cpu") == 0 ? "LiteRtCompiledModelIsFullyAccelerated"
                                                         : "LiteRtCompiledModelIsNonCpuFullyAccelerated";
  Status (*is_fully)(Handle, bool *) = (Status(*)(Handle, bool *))dlsym(library, question);
  bool known = is_fully != NULL && is_fully(compiled, &fully) == 0;
  printf("{\"record\": \"loaded\", \"startup_s\": %.9f, \"delegate\": \"%s\", \"fully_delegated\": %s", startup,
         strcmp(accelerator, "cpu") == 0 ? "XNNPACK" : accelerator, known ? (fully ? "true" : "false") : "null");
  print_bytes("baseline_memory_bytes", baseline);
  printf("}\n");

  began = now_ns(CLOCK_MONOTONIC);
  invoke();
  double first = (double)(now_ns(CLOCK_MONOTONIC) - began) / 1e9;
  long warmups = 0;
  for (int64_t end = now_ns(CLOCK_MONOTONIC) + (int64_t)(warmup_s * 1e9);
       warmups < warmup_runs || now_ns(CLOCK_MONOTONIC) < end; warmups++)
    invoke();
  int64_t *wall = malloc(sizeof *wall * (size_t)max_runs), *cpu = malloc(sizeof *cpu * (size_t)max_runs);
  if (wall == NULL || cpu == NULL) fail("memory", "no memory for the samples", 0);
  long runs = 0, before = involuntary_switches();
  for (int64_t end = now_ns(CLOCK_MONOTONIC) + (int64_t)(max_s * 1e9); runs < max_runs;) {
    int64_t cpu_start = now_ns(CLOCK_THREAD_CPUTIME_ID), start = now_ns(CLOCK_MONOTONIC);
    invoke();
    int64_t stop = now_ns(CLOCK_MONOTONIC);
    cpu[runs] = now_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_start;
    wall[runs++] = stop - start;
    if (stop > end && runs >= min_runs) break;
  }
  long after = involuntary_switches();
  printf("{\"record\": \"samples\", \"first_inference_s\": %.9f, \"warmup_runs\": %ld", first, warmups);
  for (int pass = 0; pass < 2; pass++) {
    printf(", \"%s\": [", pass == 0 ? "samples_ns" : "cpu_ns");
    for (long i = 0; i < runs; i++) printf("%s%lld", i ? ", " : "", (long long)(pass == 0 ? wall : cpu)[i]);
    printf("]");
  }
  print_bytes("involuntary_switches", before < 0 || after < 0 ? -1 : after - before);
  print_bytes("peak_memory_bytes", memory_bytes("VmHWM"));
  printf("}\n");
  fflush(stdout);
  _exit(0);  // nothing of the runtime's teardown is of interest, and some drivers crash in theirs
}
