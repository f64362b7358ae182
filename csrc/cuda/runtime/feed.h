// Rows of data sets in device memory into a program's inputs: the batch, converted on the way as program/gather.h does
// on the host. Which batch it is, and where the data lie, stand in device memory too, so that one captured graph serves
// every step of every epoch.
#pragma once
#include <cuda_runtime_api.h>

#include "../../program/gather.h"

namespace berrante {

struct Feed {
  static constexpr int kMaxSources = 32;
  int64_t batch;         // the number of the batch, advanced by every step
  const int64_t* order;  // rows in order; null: as they lie
  const void* sources[kMaxSources];
};

// Batch `feed->batch` of source `index` into `target`: `rows` rows of `row_size` elements.
void launch_feed(const Feed* feed, int index, SourceType from, DType to, int64_t rows, int64_t row_size, void* target,
                 cudaStream_t stream);
void launch_advance(Feed* feed, cudaStream_t stream);
// n elements from a source in device memory.
void launch_convert(const void* source, SourceType from, DType to, int64_t n, void* target, cudaStream_t stream);

}  // namespace berrante
