#include "sim/cli/numeric_options.h"

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"

namespace meshstep {

void NumericOptions::Add(CLI::App* command, std::span<const NumericOption> options) {
  for (const NumericOption& option : options) {
    command->add_option(absl::StrCat("--", option.name), texts_[option.name], option.help);
  }
}

StatusOr<Values> NumericOptions::Read() const {
  Values values;
  for (const auto& [name, text] : texts_) {
    if (text.empty()) continue;
    const bool percent = name == "mfu" && text.back() == '%';
    const std::string number = percent ? text.substr(0, text.size() - 1) : text;
    ASSIGN_OR_RETURN(double value, ReadCount("--" + name, number));
    if (percent) value /= 100;
    if (value <= 0) {
      return InvalidInput(absl::StrCat("--", name, ": is ", text, ", expected a number above 0"));
    }
    values[name] = value;
  }
  return values;
}

}  // namespace meshstep
