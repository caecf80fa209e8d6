// Going on after an error in a text proto: the parser stops at the first, a person wants all.
//
//   std::string content = "plan { tensr: 8 fdsp: 2 }";
//   RemoveField({0, 12}, false, &content)->column   // 7: where "tensr" stands
//   content                                // "plan {          fdsp: 2 }"
//
// The grammar of text protos: https://protobuf.dev/reference/protobuf/textformat-spec/

#ifndef MESHSTEP_SIM_BASE_TEXT_RECOVERY_H_
#define MESHSTEP_SIM_BASE_TEXT_RECOVERY_H_

#include <compare>
#include <optional>
#include <string>

namespace meshstep {

// Both 0-based, a tab reaching to the next multiple of 8, as Protobuf's tokenizer counts.
struct TextPosition {
  int line, column;
  friend auto operator<=>(TextPosition a, TextPosition b) = default;
};

// Overwrites the field (name and value) that holds an error at the given place with blanks and
// returns where to point at: the field's name if the error is of the name, else the place itself.
// `after`: the error is of the token before that place. Nothing to remove there, as at the end of
// the file: nullopt.
std::optional<TextPosition> RemoveField(TextPosition error, bool after, std::string* content);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_TEXT_RECOVERY_H_
