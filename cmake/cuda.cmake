# Two modules from csrc/ops/*_cuda.cu, csrc/cuda and csrc/bindings/cuda_*.cpp.
#
# _cuda_emulated: with the host's compiler and the emulator (csrc/cuda/emulator), for tests without a GPU. Half a minute.
#   BERRANTE_CUDA_EMULATED       by default ON in a build in place, else OFF: wheels have it only if asked
#
# _cuda: built where nvcc is found. The CUDA runtime is linked
# statically and the driver not at all, so the module imports on machines without either.
#   BERRANTE_CUDA                AUTO (if nvcc is found), ON (or fail) or OFF
#   BERRANTE_CUDA_ARCHITECTURES  AUTO, the default: this machine's cards, or, without one, machine code for Ampere and Hopper
#                                and PTX for what comes after Ampere. A release takes
#                                "75-real;80-real;86-real;89-real;90a-real;100-real;120" (nvcc 12.8 and later)

option(BERRANTE_CUDA_EMULATED "Build the emulated CUDA module, for tests" ${BERRANTE_INPLACE})

file(GLOB cuda_device_sources CONFIGURE_DEPENDS csrc/ops/*_cuda.cu csrc/cuda/*.cu csrc/cuda/runtime/*.cu)
file(GLOB cuda_host_sources CONFIGURE_DEPENDS csrc/cuda/*.cpp csrc/cuda/runtime/*.cpp csrc/bindings/cuda_*.cpp)
list(APPEND cuda_host_sources csrc/program/instruction.cpp csrc/program/spec.cpp csrc/program/gather.cpp
     csrc/core/checks.cpp)

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
  install(TARGETS _cuda_emulated LIBRARY DESTINATION berrante)
endif()

set(BERRANTE_CUDA AUTO CACHE STRING "Build the CUDA module: AUTO, ON or OFF")
set(BERRANTE_CUDA_ARCHITECTURES AUTO CACHE STRING "CUDA architectures to compile for")

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
if(BERRANTE_CUDA_ARCHITECTURES STREQUAL "AUTO")
  set(CMAKE_CUDA_ARCHITECTURES "80;90a-real")
  execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader OUTPUT_VARIABLE _berrante_cards
                  RESULT_VARIABLE _berrante_no_cards ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(_berrante_no_cards EQUAL 0 AND _berrante_cards MATCHES "^[0-9.\n\r ]+$")
    string(REGEX REPLACE "[\r\n ]+" ";" _berrante_cards "${_berrante_cards}")
    string(REPLACE "." "" _berrante_cards "${_berrante_cards}")
    list(REMOVE_DUPLICATES _berrante_cards)
    list(TRANSFORM _berrante_cards REPLACE "^90$" "90a")
    list(TRANSFORM _berrante_cards APPEND "-real")
    set(CMAKE_CUDA_ARCHITECTURES "${_berrante_cards}")
  endif()
  message(STATUS "berrante: CUDA architectures ${CMAKE_CUDA_ARCHITECTURES}")
endif()
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
if("${CMAKE_CUDA_ARCHITECTURES}" MATCHES "90a")
  target_compile_definitions(_cuda PRIVATE BERRANTE_CUDA_SM90A)  # wgmma (csrc/cuda/product_wgmma.cuh)
endif()
set_target_properties(_cuda PROPERTIES CUDA_RUNTIME_LIBRARY Static CUDA_VISIBILITY_PRESET hidden)
target_link_libraries(_cuda PRIVATE CUDA::cudart_static)
target_compile_options(_cuda PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra>
                       $<$<COMPILE_LANGUAGE:CUDA>:-Xfatbin=-compress-all>)
if(BERRANTE_WERROR)
  target_compile_options(_cuda PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Werror>
                         $<$<COMPILE_LANGUAGE:CUDA>:--Werror=all-warnings>)
endif()
if(BERRANTE_INPLACE)
  set_target_properties(_cuda PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${PROJECT_SOURCE_DIR}/python/berrante")
endif()
install(TARGETS _cuda LIBRARY DESTINATION berrante)
