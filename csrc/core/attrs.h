// One plain struct of attributes per kernel, made from ops.def. Lists are borrowed: the instruction owns their storage.
#pragma once
#include <cstdint>

namespace berrante {

struct Ints {
  const int64_t* data;
  int64_t size;
};
struct Reals {
  const double* data;
  int64_t size;
};

#define INT(field) int64_t field;
#define REAL(field) double field;
#define INTS(field) Ints field;
#define REALS(field) Reals field;
#define OP(name, ...)   \
  struct name##_attrs { \
    __VA_ARGS__         \
  };
#include "../ops.def"
#undef OP
#undef INT
#undef REAL
#undef INTS
#undef REALS

}  // namespace berrante
