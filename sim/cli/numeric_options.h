// Options that take one number ("--chips=4096", "--params=70B"), read into a map by name.

#ifndef MESHSTEP_SIM_CLI_NUMERIC_OPTIONS_H_
#define MESHSTEP_SIM_CLI_NUMERIC_OPTIONS_H_

#include <map>
#include <span>
#include <string>

#include "sim/cli/values.h"

namespace CLI {
class App;
}

namespace meshstep {

struct NumericOption {
  const char* name;  // without dashes
  const char* help;
};

class NumericOptions {
 public:
  // This object must outlive the command.
  void Add(CLI::App* command, std::span<const NumericOption> options);
  // Those that were given. Error: one is no number above 0.
  StatusOr<Values> Read() const;

 private:
  std::map<std::string, std::string> texts_;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CLI_NUMERIC_OPTIONS_H_
