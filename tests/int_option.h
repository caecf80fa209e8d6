// Sizes of random tests from the command line, beside GoogleTest's own options.

#ifndef MESHSTEP_TESTS_INT_OPTION_H_
#define MESHSTEP_TESTS_INT_OPTION_H_

#include <cstdlib>
#include <string>

namespace meshstep {

// N of the last "--NAME=N" of the command line, or `otherwise`.
inline int IntOption(int argc, char** argv, const std::string& name, int otherwise) {
  const std::string prefix = "--" + name + "=";
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.starts_with(prefix)) otherwise = std::atoi(argument.c_str() + prefix.size());
  }
  return otherwise;
}

}  // namespace meshstep

#endif  // MESHSTEP_TESTS_INT_OPTION_H_
