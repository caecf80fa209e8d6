#include "sim/cli/terminal.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace meshstep {

TextStyle TerminalStyle() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  const bool wanted = no_color == nullptr || *no_color == '\0';
  const bool capable = term != nullptr && std::string_view(term) != "dumb";
  return {.color = wanted && capable && isatty(STDOUT_FILENO) != 0};
}

}  // namespace meshstep
