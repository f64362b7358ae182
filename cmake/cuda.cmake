# Two modules from csrc/ops/*_cuda.cu, csrc/cuda and csrc/bindings/cuda_*.cpp.
#
# _cuda_emulated: with the host's compiler and the emulator (csrc/cuda/emulator), for tests without a GPU. Half a minute.
#   BERRANTE_CUDA_EMULATED       by default ON in a build in place, else OFF; never installed
#
# _cuda: built where nvcc is found. The CUDA runtime is linked
# statically and the driver not at all, so the module imports on machines without either.
#   BERRANTE_CUDA                AUTO (if nvcc is found), ON (or fail) or OFF
#   BERRANTE_CUDA_ARCHITECTURES  by default machine code for Ampere and Hopper, and PTX for what comes after Ampere

option(BERRANTE_CUDA_EMULATED "Build the emulated CUDA module, for tests" ${BERRANTE_INPLACE})

file(GLOB cuda_device_sources CONFIGURE_DEPENDS csrc/ops/*_cuda.cu csrc/cuda/*.cu csrc/cuda/runtime/*.cu)
file(GLOB cuda_host_sources CONFIGURE_DEPENDS csrc/cuda/*.cpp csrc/cuda/runtime/*.cpp csrc/bindings/cuda_*.cpp)
list(APPEND cuda_host_sources csrc/program/instruction.cpp csrc/program/spec.cpp csrc/program/gather.cpp)

if(BERRANTE_CUDA_EMULATED)
  set(emulated_sources "")
  foreach(source IN LISTS cuda_device_sources)
    get_filename_component(name "${source}" NAME_WE)
    set(wrapper "${PROJECT_BINARY_DIR}/emulated/${name}.cpp")
    file(CONFIGURE OUTPUT "${wrapper}" CONTENT "#include \"${source}\"\n" @ONLY)
    list(APPEND emulated_sources "${wrapper}")
  endforeach()
  file(GLOB emulator_sources CONFIGURE_DEPENDS csrc/cuda/emulator/*.cpp)
  pybind11_add_module(_cuda_emulated NO_EXTRAS ${emulated_sources} ${cuda_host_sources} ${emulator_sources})
  target_compile_definitions(_cuda_emulated PRIVATE BERRANTE_CUDA_EMULATED BERRANTE_CUDA_MODULE=_cuda_emulated)
  target_include_directories(_cuda_emulated BEFORE PRIVATE csrc/cuda/emulator)
  target_compile_options(_cuda_emulated PRIVATE -Wno-unknown-pragmas)
  berrante_common_options(_cuda_emulated)
  if(BERRANTE_INPLACE)
    set_target_properties(_cuda_emulated PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${PROJECT_SOURCE_DIR}/python/berrante")
  endif()
endif()

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

pybind11_add_module(_cuda NO_EXTRAS ${cuda_device_sources} ${cuda_host_sources})
target_compile_definitions(_cuda PRIVATE BERRANTE_CUDA_MODULE=_cuda)
set_target_properties(_cuda PROPERTIES CUDA_RUNTIME_LIBRARY Static CUDA_VISIBILITY_PRESET hidden)
target_link_libraries(_cuda PRIVATE CUDA::cudart_static)
target_compile_options(_cuda PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra>)
if(BERRANTE_INPLACE)
  set_target_properties(_cuda PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${PROJECT_SOURCE_DIR}/python/berrante")
endif()
install(TARGETS _cuda LIBRARY DESTINATION berrante)
