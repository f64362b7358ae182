// Between the emulator's host API and its machine.
#pragma once
#include <string>

#include "machine.h"

namespace berrante::emulator {

// Runs one launch; empty, or what went wrong.
std::string run(const Launch& work);

}  // namespace berrante::emulator
