#include "wgmma.h"

#include <cstring>

#include "mma.h"

namespace berrante::emulator {

namespace {

constexpr uint32_t kFirstAddress =
    128;  // of dynamic shared memory: not a multiple of 1024, as a kernel may not expect it
constexpr int kMostSpins = 1 << 14;

struct Mbarrier {
  uint16_t expected, pending;
  uint32_t phase;
};
static_assert(sizeof(Mbarrier) == sizeof(uint64_t));

Mbarrier& barrier_at(uint64_t* p) {
  auto& barrier = *reinterpret_cast<Mbarrier*>(p);
  if (barrier.expected == 0xffff) fail("an mbarrier is used before it is initialised");
  return barrier;
}

const unsigned char* bytes_at(uint32_t address, size_t size) {
  if (address < kFirstAddress || address - kFirstAddress + size > shared_bytes())
    fail("wgmma reads beyond the block's shared memory");
  return static_cast<const unsigned char*>(dynamic_shared()) + (address - kFirstAddress);
}

// An operand that lies along the depth, as its descriptor says.
class Tile {
 public:
  Tile(uint64_t descriptor, int factor)
      : start_(static_cast<uint32_t>(descriptor & 0x3fff) << 4),
        stride_(static_cast<uint32_t>(descriptor >> 32 & 0x3fff) << 4),
        factor_(factor) {
    if (descriptor >> 62 != 1) fail("wgmma: only the 128-byte swizzle is emulated");
    if ((descriptor >> 49 & 7) != 0) fail("wgmma: a base offset is not emulated");
    if (start_ % 1024 >= 128) fail("wgmma: a tile that does not start at a multiple of 1024 bytes");
  }
  double at(int row, int k) const {
    const uint32_t size = factor_ == 0 ? 4 : 2;
    uint32_t address = start_ + static_cast<uint32_t>(row / 8) * stride_ + static_cast<uint32_t>(row % 8) * 128 +
                       static_cast<uint32_t>(k) * size;
    address ^= (address >> 7 & 7) << 4;
    const unsigned char* from = bytes_at(address, size);
    if (factor_ == 0) {
      uint32_t word;
      std::memcpy(&word, from, 4);
      return __builtin_bit_cast(float, word & 0xffffe000u);  // the hardware does not read the low 13 bits
    }
    uint16_t half;
    std::memcpy(&half, from, 2);
    return factor_ == 1 ? float_of_bf16(half) : float_of_f16(half);
  }

 private:
  uint32_t start_, stride_;
  int factor_;
};

}  // namespace

uint32_t shared_address(const void* p) {
  return kFirstAddress +
         static_cast<uint32_t>(static_cast<const char*>(p) - static_cast<const char*>(dynamic_shared()));
}

void mbarrier_init(uint64_t* barrier, int arrivals) {
  const auto count = static_cast<uint16_t>(arrivals);
  *reinterpret_cast<Mbarrier*>(barrier) = {count, count, 0};
}

void mbarrier_arrive(uint64_t* barrier) {
  Mbarrier& b = barrier_at(barrier);
  if (--b.pending == 0) {
    b.pending = b.expected;
    ++b.phase;
  }
}

void mbarrier_wait(uint64_t* barrier, int phase) {
  for (int spin = 0; static_cast<int>(barrier_at(barrier).phase & 1) == phase; ++spin) {
    if (spin == kMostSpins) fail("a phase of an mbarrier never ends");
    pause();
  }
}

void wgmma(float (&d)[64], uint64_t a, uint64_t b, int factor) {
  const Tile rows(a, factor), columns(b, factor);
  const int thread = static_cast<int>(threadIdx.x) % 128, g = thread % 32 / 4, t = thread % 4;
  const int first = thread / 32 * 16 + g, depth = factor == 0 ? 8 : 16;
  defer([&d, rows, columns, first, t, depth] {
    for (int half = 0; half < 2; ++half) {
      double x[16];
      for (int k = 0; k < depth; ++k) x[k] = rows.at(first + 8 * half, k);
      for (int j = 0; j < 16; ++j)
        for (int i = 0; i < 2; ++i) {
          float& to = d[4 * j + 2 * half + i];
          double sum = to;
          for (int k = 0; k < depth; ++k) sum += x[k] * columns.at(8 * j + 2 * t + i, k);
          to = static_cast<float>(sum);
        }
    }
  });
}

void wgmma_commit() { defer_commit(); }
void wgmma_wait(int newest) { defer_wait(newest); }

}  // namespace berrante::emulator
