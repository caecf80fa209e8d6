// A model's arithmetic (strategies/model/model_arithmetic.h) as a report message.

#ifndef MESHSTEP_SIM_REPORT_ARITHMETIC_MODEL_REPORT_H_
#define MESHSTEP_SIM_REPORT_ARITHMETIC_MODEL_REPORT_H_

#include "strategies/model/model_arithmetic.h"

namespace meshstep {

namespace v1 {
class ModelReport;
}

struct ModelReportOptions {
  TransformerOptions transformer;
  double activation_bytes = 2;  // per element
  double weight_bytes = 2;
  double kv_bytes = 2;
  ActivationSharding sharding;
  double micro_batches_in_flight = 1;  // of the first pipeline stage
};

v1::ModelReport MakeModelReport(const Model& model, const TokenShape& shape,
                                const ModelReportOptions& options);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_ARITHMETIC_MODEL_REPORT_H_
