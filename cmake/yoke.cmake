# Build helpers. One directory is one static library; what a directory may include is exactly what it
# declares in USES, so the link graph is the layer table. tests/lint/includes.py reads the same
# declarations and checks every #include against them.

add_library(yoke_flags INTERFACE)
target_include_directories(yoke_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
target_compile_definitions(yoke_flags INTERFACE _GNU_SOURCE YOKE_VERSION="${PROJECT_VERSION}"
	EV_COMPAT3=0)
# libev's watchers and the socket API convert between struct types by design.
target_compile_options(yoke_flags INTERFACE
	-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion
	-Wno-sign-conversion -Wformat=2 -Wundef -Wvla -fno-strict-aliasing
	-fstack-protector-strong -fstack-clash-protection -fno-common
	$<$<BOOL:${YOKE_WERROR}>:-Werror>)
target_link_options(yoke_flags INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
	target_compile_options(yoke_flags INTERFACE -fcf-protection)
endif()
if(YOKE_LIBFUZZER)
	target_compile_options(yoke_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(YOKE_SANITIZE)
	target_compile_options(yoke_flags INTERFACE -fsanitize=${YOKE_SANITIZE}
		-fno-sanitize-recover=all -fno-omit-frame-pointer)
	target_link_options(yoke_flags INTERFACE -fsanitize=${YOKE_SANITIZE})
else()
	target_compile_definitions(yoke_flags INTERFACE
		$<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
endif()

# yoke_find_library(NAME HEADER LIB): imported target dep::NAME for a library without a .pc file.
function(yoke_find_library name header lib)
	find_path(${name}_INCLUDE ${header} REQUIRED)
	find_library(${name}_LIBRARY ${lib} REQUIRED)
	add_library(dep::${name} INTERFACE IMPORTED)
	target_include_directories(dep::${name} SYSTEM INTERFACE ${${name}_INCLUDE})
	target_link_libraries(dep::${name} INTERFACE ${${name}_LIBRARY})
endfunction()

# yoke_library(NAME SOURCES a.c... [USES layer...] [DEPS external targets...])
function(yoke_library name)
	cmake_parse_arguments(ARG "" "" "SOURCES;USES;DEPS" ${ARGN})
	add_library(${name} STATIC ${ARG_SOURCES})
	target_link_libraries(${name} PRIVATE yoke_flags PUBLIC ${ARG_USES} ${ARG_DEPS})
endfunction()

# yoke_program(NAME SOURCES a.c... [USES ...] [DEPS ...])
function(yoke_program name)
	cmake_parse_arguments(ARG "" "" "SOURCES;USES;DEPS" ${ARGN})
	add_executable(${name} ${ARG_SOURCES})
	target_link_libraries(${name} PRIVATE yoke_flags ${ARG_USES} ${ARG_DEPS})
endfunction()

# The end of a test that hangs, in seconds. It judges nothing: a machine with thirty times the work
# that it can do takes that much longer, sanitizers take five times as long.
set(YOKE_TEST_TIMEOUT 900)
if(YOKE_SANITIZE)
	math(EXPR YOKE_TEST_TIMEOUT "5 * ${YOKE_TEST_TIMEOUT}")
endif()

# yoke_unit_test(unit/http/h1 SOURCES h1_test.c USES http): a CUnit program that is one test.
function(yoke_unit_test name)
	cmake_parse_arguments(ARG "" "" "SOURCES;USES;DEPS" ${ARGN})
	string(REPLACE "/" "_" target ${name})
	add_executable(${target} ${ARG_SOURCES})
	target_link_libraries(${target} PRIVATE yoke_flags ${ARG_USES} ${ARG_DEPS} dep::cunit)
	set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
	add_test(NAME ${name} COMMAND ${target})
	set_tests_properties(${name} PROPERTIES TIMEOUT ${YOKE_TEST_TIMEOUT} LABELS unit)
endfunction()

# yoke_fuzz(NAME USES ...): tests/fuzz/NAME.c with the corpus tests/fuzz/corpus/NAME/. As a test it
# replays the corpus and a fixed number of seeded mutations; with YOKE_LIBFUZZER it is a libFuzzer
# program as well (tests/fuzz_NAME CORPUS_DIR, in the build's directory).
function(yoke_fuzz name)
	cmake_parse_arguments(ARG "" "" "USES;DEPS" ${ARGN})
	add_executable(fuzz_${name} ${name}.c)
	target_link_libraries(fuzz_${name} PRIVATE yoke_flags ${ARG_USES} ${ARG_DEPS})
	set_target_properties(fuzz_${name} PROPERTIES
		RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
	if(YOKE_LIBFUZZER)
		target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
		target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
	else()
		target_sources(fuzz_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/driver.c)
		add_test(NAME fuzz/${name} COMMAND fuzz_${name}
			${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
		set_tests_properties(fuzz/${name} PROPERTIES TIMEOUT ${YOKE_TEST_TIMEOUT} LABELS fuzz)
	endif()
endfunction()
