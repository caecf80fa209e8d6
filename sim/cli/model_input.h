// A model as asked for on the command line: a preset or a file, dimensions by their letters, and
// single fields.

#ifndef MESHSTEP_SIM_CLI_MODEL_INPUT_H_
#define MESHSTEP_SIM_CLI_MODEL_INPUT_H_

#include <string>
#include <vector>

#include "sim/base/status.h"
#include "sim/cli/values.h"
#include "strategies/model/model.h"

namespace CLI {
class App;
}

namespace meshstep {

struct ModelInput {
  std::string name;               // preset or file; empty: by dims alone
  std::vector<std::string> dims;  // "L=80,D=8192,..."
  std::vector<std::string> set;   // "moe.experts=8"
  std::string mlp;                // gated, plain; empty: the preset's, gated without one
  bool tied = false, untied = false;
  bool no_biases = false;
};

// Adds MODEL, --dims, --set, --mlp, --tied, --untied, --no-biases.
void AddModelOptions(CLI::App* command, ModelInput* input);

// Letters that --dims takes for a model.
const std::vector<std::string>& ModelLetters();

// Missing letters: L 1, N D/H or 1, H D/N, K N, F and V 0 (no MLP, no vocabulary). With E, F is the
// width of one expert and k the experts of a token. `dims` holds other letters too.
StatusOr<Model> ReadModel(const ModelInput& input, const Values& dims);

// What ReadModel takes for letters that are missing, one sentence each.
std::vector<std::string> AssumedOf(const ModelInput& input, const Values& dims);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CLI_MODEL_INPUT_H_
