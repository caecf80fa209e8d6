// Text of others (names, values, paths) made safe to print: no byte of it moves a cursor, begins a
// line or turns the direction of writing.

#ifndef MESHSTEP_SIM_BASE_ESCAPE_H_
#define MESHSTEP_SIM_BASE_ESCAPE_H_

#include <string>
#include <string_view>

namespace meshstep {

// Control characters (C0, DEL, C1), line separators and marks of writing direction become \n, \t,
// \r, \x1b or \u202e; bytes that are not UTF-8 become \xff. All else stays as it is.
//
//   EscapeControls("a\nb\033[2J")   R"(a\nb\x1b[2J)"
std::string EscapeControls(std::string_view text);

// The same line by line: line feeds stay.
std::string EscapeLines(std::string_view text);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_ESCAPE_H_
