// Device memory that Python or a test owns.
#pragma once
#include "../cuda/runtime/status.h"

namespace berrante {

class DeviceMemory {
 public:
  explicit DeviceMemory(size_t size) : size_(size) { check(cudaMalloc(&data_, size == 0 ? 1 : size), "cudaMalloc"); }
  ~DeviceMemory() { cudaFree(data_); }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  void* get() const { return data_; }
  size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_;
};

}  // namespace berrante
