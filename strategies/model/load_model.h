// A model as written (proto/meshstep/v1/model.proto) to a Model whose fields are filled in and
// checked.
//
//   Diagnostics diagnostics;
//   const Model model = LoadModel(message, "model", &diagnostics);
//   RETURN_IF_ERROR(diagnostics.status());

#ifndef MESHSTEP_STRATEGIES_MODEL_LOAD_MODEL_H_
#define MESHSTEP_STRATEGIES_MODEL_LOAD_MODEL_H_

#include <string>

#include "sim/base/diagnostics.h"
#include "strategies/model/model.h"

namespace meshstep {

namespace v1 {
class Model;
}

// `field` is what errors call the message ("model"); its preset is resolved already. Every problem
// is one line in `diagnostics`; the result may be used only if there is none.
Model LoadModel(const v1::Model& message, const std::string& field, Diagnostics* diagnostics);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_LOAD_MODEL_H_
