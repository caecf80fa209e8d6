// Number formats of a row of measured matmuls, as tests/validation's tables and others write them.

#ifndef MESHSTEP_SIM_VALIDATION_MATMUL_FORMATS_H_
#define MESHSTEP_SIM_VALIDATION_MATMUL_FORMATS_H_

#include "sim/base/csv.h"
#include "sim/base/dtype.h"
#include "sim/base/status.h"
#include "sim/base/units.h"

namespace meshstep {

struct MatmulFormats {
  Dtype operand;
  Bytes result;  // one element
};

// Operands and result of "bf16xbf16->f32" in the column `dtype`; or of the columns `dtype` and
// `out_dtype`. Error: the format is not known.
StatusOr<MatmulFormats> MatmulFormatsOf(const CsvTable& table, std::size_t row);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_MATMUL_FORMATS_H_
