# The module _cuda: csrc/**/*_cuda.cu and csrc/bindings/cuda_*.cpp, built where nvcc is found. The CUDA runtime is linked
# statically and the driver not at all, so the module imports on machines without either.
#   BERRANTE_CUDA                AUTO (if nvcc is found), ON (or fail) or OFF
#   BERRANTE_CUDA_ARCHITECTURES  by default machine code for Ampere and Hopper, and PTX for what comes after Ampere

set(BERRANTE_CUDA AUTO CACHE STRING "Build the CUDA module: AUTO, ON or OFF")
set(BERRANTE_CUDA_ARCHITECTURES "80;90a-real" CACHE STRING "CUDA architectures to compile for")

if(BERRANTE_CUDA STREQUAL "OFF")
  return()
endif()
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(_berrante_nvcc nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
  if(_berrante_nvcc)
    set(CMAKE_CUDA_COMPILER "${_berrante_nvcc}")
  endif()
endif()
set(CMAKE_CUDA_ARCHITECTURES "${BERRANTE_CUDA_ARCHITECTURES}")
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  if(BERRANTE_CUDA STREQUAL "AUTO")
    message(STATUS "berrante: no CUDA compiler, so no _cuda module")
    return()
  endif()
  message(FATAL_ERROR "BERRANTE_CUDA=${BERRANTE_CUDA}, but no CUDA compiler was found")
endif()

set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)

file(GLOB cuda_sources CONFIGURE_DEPENDS csrc/ops/*_cuda.cu csrc/cuda/*.cu csrc/bindings/cuda_*.cpp)
pybind11_add_module(_cuda NO_EXTRAS ${cuda_sources} csrc/program/instruction.cpp)
set_target_properties(_cuda PROPERTIES CUDA_RUNTIME_LIBRARY Static CUDA_VISIBILITY_PRESET hidden)
target_link_libraries(_cuda PRIVATE CUDA::cudart_static)
target_compile_options(_cuda PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra>)
if(BERRANTE_INPLACE)
  set_target_properties(_cuda PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${PROJECT_SOURCE_DIR}/python/berrante")
endif()
install(TARGETS _cuda LIBRARY DESTINATION berrante)
