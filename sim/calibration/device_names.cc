#include "sim/calibration/device_names.h"

#include <set>

#include "absl/strings/ascii.h"
#include "sim/base/data_path.h"

namespace meshstep {
namespace {

// Lower-case words of letters and digits.
std::set<std::string> WordsOf(const std::string& text) {
  std::set<std::string> words;
  std::string word;
  for (const char c : absl::AsciiStrToLower(text) + " ") {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c))) {
      word += c;
    } else if (!word.empty()) {
      words.insert(word);
      word.clear();
    }
  }
  return words;
}

// Models of accelerators that a name gives: the first word of a chip file's name that has a digit
// and a letter ("h100" of h100-sxm, "mi300x").
std::set<std::string> ModelsIn(const std::string& name) {
  std::set<std::string> models;
  const std::set<std::string> words = WordsOf(name);
  for (const std::string& chip : ListPresets("topologies/chips")) {
    const std::string model = chip.substr(0, chip.find('-'));
    if (model.find_first_of("0123456789") != std::string::npos && words.contains(model)) {
      models.insert(model);
    }
  }
  return models;
}

}  // namespace

DeviceMatch MatchDevice(const std::string& device, const std::string& chip) {
  const std::set<std::string> devices = ModelsIn(device), chips = ModelsIn(chip);
  if (devices.empty() || chips.empty()) return DeviceMatch::kUnknown;
  for (const std::string& model : devices) {
    if (chips.contains(model)) return DeviceMatch::kSame;
  }
  return DeviceMatch::kOther;
}

}  // namespace meshstep
