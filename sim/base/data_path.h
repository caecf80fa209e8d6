// Where the data files that ship with the program are.

#ifndef MESHSTEP_SIM_BASE_DATA_PATH_H_
#define MESHSTEP_SIM_BASE_DATA_PATH_H_

#include <string>
#include <vector>

#include "sim/base/status.h"

namespace meshstep {

// Root of the data folders (topologies/chips, strategies/models, ...): the source tree if the
// program runs from its build tree, else PREFIX/share/meshstep.
const std::string& DataRoot();

// Names (files without .textproto) in a data folder, sorted.
std::vector<std::string> ListPresets(const std::string& folder);

// Path of a preset: a name in the folder, or the path of a file that ends in .textproto. Error: "is
// "x", expected one of ..." with the nearest names first.
StatusOr<std::string> PresetPath(const std::string& folder, const std::string& name);

// The whole file. Error: it cannot be read, or is longer than max_bytes.
StatusOr<std::string> ReadFile(const std::string& path, std::size_t max_bytes = 64 << 20);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_DATA_PATH_H_
