# Compiles every csrc/**/*_cpu.cpp once per instruction set, each copy in a namespace of its own (isa_<name>).
#
# berrante_add_kernels(<target>): adds the object libraries to <target> and tells it which sets were built.
#   BERRANTE_ISAS  the sets to build; the default is all that the compiler's target has. "wide" is 16 lanes written
#                  with AVX2 instructions: slow, but it runs the 16-lane code on machines without AVX-512 (for tests).

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  set(_berrante_default_isas baseline avx2 avx512)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(_berrante_default_isas neon)
else()
  set(_berrante_default_isas baseline)
endif()
set(BERRANTE_ISAS "${_berrante_default_isas}" CACHE STRING "Instruction sets to build, narrowest first")

set(_berrante_lanes_baseline 4)
set(_berrante_flags_baseline "")
set(_berrante_lanes_neon 4)
set(_berrante_flags_neon "")
set(_berrante_lanes_avx2 8)
set(_berrante_flags_avx2 -mavx2 -mfma)
set(_berrante_lanes_wide 16)
set(_berrante_flags_wide -mavx2 -mfma)
set(_berrante_lanes_avx512 16)
set(_berrante_flags_avx512 -mavx2 -mfma -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512)

function(berrante_add_kernels target)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/csrc/ops/*_cpu.cpp"
       "${PROJECT_SOURCE_DIR}/csrc/cpu/*_cpu.cpp")
  set(built "")
  foreach(isa IN LISTS BERRANTE_ISAS)
    if(NOT DEFINED _berrante_lanes_${isa})
      message(FATAL_ERROR "BERRANTE_ISAS: unknown instruction set '${isa}'")
    endif()
    set(library ${target}_${isa})
    add_library(${library} OBJECT ${sources})
    # -fno-math-errno and -fno-trapping-math lose nothing a kernel uses; NaN and infinity keep their meaning.
    target_compile_options(${library} PRIVATE ${_berrante_flags_${isa}} -O3 -ffp-contract=fast -fno-math-errno
                           -fno-trapping-math -fno-exceptions -fno-rtti -Wno-psabi)
    target_compile_definitions(${library} PRIVATE BERRANTE_ISA=isa_${isa} BERRANTE_ISA_NAME=${isa}
                               BERRANTE_LANES=${_berrante_lanes_${isa}})
    berrante_common_options(${library})
    target_link_libraries(${target} PRIVATE ${library})
    string(APPEND built "ISA(${isa}) ")
  endforeach()
  set_source_files_properties("${PROJECT_SOURCE_DIR}/csrc/cpu/isa.cpp" PROPERTIES
                              COMPILE_DEFINITIONS "BERRANTE_BUILT_ISAS=${built}")
endfunction()
