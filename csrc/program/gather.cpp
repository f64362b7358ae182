#include "gather.h"

#include <cstring>
#include <type_traits>

namespace berrante {

namespace {

template <class To, class From>
void convert(const From* from, To* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (std::is_same_v<To, bool>)
      to[i] = from[i] != From(0);
    else
      to[i] = static_cast<To>(from[i]);
  }
}

template <class To, class From>
void gather(const Source& source, const int64_t* order, int64_t begin, int64_t end, To* target) {
  const From* data = static_cast<const From*>(source.data);
  const int64_t n = source.row_size;
  if (order == nullptr) {
    if constexpr (std::is_same_v<To, From>)
      std::memcpy(target, data + begin * n, static_cast<size_t>((end - begin) * n) * sizeof(To));
    else
      convert(data + begin * n, target, (end - begin) * n);
    return;
  }
  for (int64_t row = begin; row < end; ++row, target += n) {
    const From* from = data + order[row] * n;
    if constexpr (std::is_same_v<To, From>)
      std::memcpy(target, from, static_cast<size_t>(n) * sizeof(To));
    else
      convert(from, target, n);
  }
}

template <class To>
void gather_to(const Source& source, const int64_t* order, int64_t begin, int64_t end, To* target) {
  switch (source.type) {
    case SourceType::f32: return gather<To, float>(source, order, begin, end, target);
    case SourceType::f64: return gather<To, double>(source, order, begin, end, target);
    case SourceType::i8: return gather<To, int8_t>(source, order, begin, end, target);
    case SourceType::u8: return gather<To, uint8_t>(source, order, begin, end, target);
    case SourceType::i16: return gather<To, int16_t>(source, order, begin, end, target);
    case SourceType::u16: return gather<To, uint16_t>(source, order, begin, end, target);
    case SourceType::i32: return gather<To, int32_t>(source, order, begin, end, target);
    case SourceType::u32: return gather<To, uint32_t>(source, order, begin, end, target);
    case SourceType::i64: return gather<To, int64_t>(source, order, begin, end, target);
    case SourceType::u64: return gather<To, uint64_t>(source, order, begin, end, target);
    case SourceType::boolean: return gather<To, bool>(source, order, begin, end, target);
  }
}

}  // namespace

void gather_rows(const Source& source, const int64_t* order, int64_t begin, int64_t end, void* target, DType dtype) {
  switch (dtype) {
    case DType::float32: return gather_to(source, order, begin, end, static_cast<float*>(target));
    case DType::int32: return gather_to(source, order, begin, end, static_cast<int32_t*>(target));
    case DType::uint8: return gather_to(source, order, begin, end, static_cast<uint8_t*>(target));
    case DType::boolean: return gather_to(source, order, begin, end, static_cast<bool*>(target));
  }
}

}  // namespace berrante
