// Which layer is of which kind: dense and routed layers, windows on some (the usual fields of
// Model), or kinds by a pattern (Model.layer_kinds).

#ifndef MESHSTEP_STRATEGIES_MODEL_LOAD_LAYER_KINDS_H_
#define MESHSTEP_STRATEGIES_MODEL_LOAD_LAYER_KINDS_H_

#include <string>

#include "sim/base/diagnostics.h"
#include "strategies/model/model.h"

namespace meshstep::v1 {
class Model;
}

namespace meshstep {

// Without layer_kinds: up to four kinds, dense or routed, with a window or without. Fills the
// model's own layer, its kinds (none where all are alike) and their order.
void LoadUsualLayers(const v1::Model& message, const std::string& field, Diagnostics* diagnostics,
                     Model* model);

// With layer_kinds.
void LoadLayerKinds(const v1::Model& message, const std::string& field, Diagnostics* diagnostics,
                    Model* model);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_LOAD_LAYER_KINDS_H_
