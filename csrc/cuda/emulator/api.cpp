// The host API: memory, streams, capture and graphs, settings.
#include "api.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>

#include "../../core/aligned.h"

namespace berrante::emulator {

struct Graph {
  std::vector<std::function<void()>> nodes;
};
struct Stream {
  Graph* capture = nullptr;
};
struct Event {
  std::chrono::steady_clock::time_point time;
};

namespace {

std::mutex mutex;  // guards what follows
cudaError_t last_error = cudaSuccess;
std::string last_message;
std::vector<Geometry> launches;
int capturing = 0;
thread_local int device = 0;

cudaError_t report(cudaError_t error, const std::string& message = "") {
  if (error == cudaSuccess) return error;
  const std::lock_guard lock(mutex);
  last_error = error;
  last_message = message;
  return error;
}

int number_from(const char* name, int fallback) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? fallback : std::atoi(text);
}

Settings first_settings() {
  Settings s;
  const char* order = std::getenv("BERRANTE_EMULATOR_ORDER");
  if (order != nullptr && std::strcmp(order, "reverse") == 0) s.order = Order::reverse;
  if (order != nullptr && std::strcmp(order, "shuffled") == 0) s.order = Order::shuffled;
  s.poison = number_from("BERRANTE_EMULATOR_POISON", 1) != 0;
  s.compute = number_from("BERRANTE_EMULATOR_COMPUTE", 80);
  s.devices = number_from("BERRANTE_EMULATOR_DEVICES", 1);
  return s;
}

// The limits of compute capability 8.0 and 9.0.
std::string refused(const Launch& work) {
  const auto [x, y, z] = work.block;
  if (x == 0 || y == 0 || z == 0 || z > 64 || static_cast<uint64_t>(x) * y * z > 1024)
    return "a block of " + std::to_string(x) + " x " + std::to_string(y) + " x " + std::to_string(z) + " threads";
  if (work.grid.x > 0x7fffffffu || work.grid.y > 65535 || work.grid.z > 65535) return "a grid that is too large";
  const size_t limit = settings().compute >= 90 ? 227 << 10 : settings().compute == 80 ? 163 << 10 : 99 << 10;
  if (work.shared_bytes > (settings().compute == 75 ? 64u << 10 : limit))
    return std::to_string(work.shared_bytes) + " bytes of shared memory";
  return "";
}

void perform(const Launch& work) {
  const std::string error = run(work);
  if (!error.empty()) report(cudaErrorLaunchFailure, error);
}

// What would break a capture in CUDA's global mode.
cudaError_t unless_capturing(cudaError_t result = cudaSuccess) {
  {
    const std::lock_guard lock(mutex);
    if (capturing == 0) return result;
  }
  return report(cudaErrorStreamCaptureUnsupported, "an allocation or synchronisation while a stream captures");
}

}  // namespace

Settings& settings() {
  static Settings instance = first_settings();
  return instance;
}

void submit(Stream* stream, std::function<void()> work) {
  if (stream != nullptr && stream->capture != nullptr)
    stream->capture->nodes.push_back(std::move(work));
  else
    work();
}

void launch(Launch work, cudaStream_t stream) {
  const std::string why = refused(work);
  if (!why.empty()) {
    report(cudaErrorInvalidConfiguration, "a launch asks for " + why);
    return;
  }
  {
    const std::lock_guard lock(mutex);
    launches.push_back({work.grid, work.block, work.shared_bytes});
    if (launches.size() > 65536) launches.clear();
  }
  submit(stream, [work = std::move(work)] { perform(work); });
}

std::vector<Geometry> take_launches() {
  const std::lock_guard lock(mutex);
  return std::exchange(launches, {});
}

}  // namespace berrante::emulator

using namespace berrante::emulator;

cudaError_t cudaGetDeviceCount(int* count) {
  *count = settings().devices;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* index) {
  *index = device;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int index) {
  if (index < 0 || index >= settings().devices) return report(cudaErrorInvalidDevice, "invalid device ordinal");
  device = index;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "emulated device");
  properties->totalGlobalMem = size_t{1} << 34;
  properties->major = settings().compute / 10;
  properties->minor = settings().compute % 10;
  properties->multiProcessorCount = 8;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount: *value = 8; return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor: *value = settings().compute / 10; return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor: *value = settings().compute % 10; return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = 163 << 10; return cudaSuccess;
  }
  return report(cudaErrorInvalidValue, "invalid argument");
}
cudaError_t cudaDeviceSynchronize() { return unless_capturing(cudaPeekAtLastError()); }
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *free = *total = size_t{1} << 34;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() {
  const std::lock_guard lock(mutex);
  return std::exchange(last_error, cudaSuccess);
}
cudaError_t cudaPeekAtLastError() {
  const std::lock_guard lock(mutex);
  return last_error;
}
const char* cudaGetErrorString(cudaError_t error) {
  thread_local std::string text;
  const std::lock_guard lock(mutex);
  text = error == cudaSuccess ? "no error" : last_message.empty() ? "error " + std::to_string(error) : last_message;
  return text.c_str();
}
const char* cudaGetErrorName(cudaError_t error) { return cudaGetErrorString(error); }

cudaError_t cudaMalloc(void** memory, size_t size) {
  const cudaError_t status = unless_capturing();
  if (status != cudaSuccess) return status;
  *memory = std::aligned_alloc(256, berrante::round_up(size == 0 ? 1 : size, 256));
  return *memory == nullptr ? report(cudaErrorMemoryAllocation, "out of memory") : cudaSuccess;
}
cudaError_t cudaFree(void* memory) {
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** memory, size_t size, unsigned) { return cudaMalloc(memory, size); }
cudaError_t cudaFreeHost(void* memory) { return cudaFree(memory); }
cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind) {
  std::memcpy(to, from, size);
  return unless_capturing();
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind, cudaStream_t stream) {
  submit(stream, [=] { std::memmove(to, from, size); });
  return cudaSuccess;
}
cudaError_t cudaMemset(void* to, int value, size_t size) {
  std::memset(to, value, size);
  return unless_capturing();
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t size, cudaStream_t stream) {
  submit(stream, [=] { std::memset(to, value, size); });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new Stream;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) { return unless_capturing(cudaPeekAtLastError()); }
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream == nullptr || stream->capture != nullptr)
    return report(cudaErrorStreamCaptureUnsupported, "this stream cannot capture");
  stream->capture = new Graph;
  const std::lock_guard lock(mutex);
  ++capturing;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = std::exchange(stream->capture, nullptr);
  const std::lock_guard lock(mutex);
  --capturing;
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status =
      stream != nullptr && stream->capture != nullptr ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new Graph(*graph);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  for (const auto& node : executable->nodes) submit(stream, node);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) { return cudaGraphDestroy(executable); }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new Event{};
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  submit(stream, [event] { event->time = std::chrono::steady_clock::now(); });
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return unless_capturing(); }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return cudaSuccess;
}
