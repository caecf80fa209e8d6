// Predicted against measured as a drawing: both axes logarithmic, one mark per row, a colour and a
// shape per source of measurements, the diagonal and the lines of 20 % error.

#ifndef MESHSTEP_SIM_VALIDATION_VALIDATE_SCATTER_H_
#define MESHSTEP_SIM_VALIDATION_VALIDATE_SCATTER_H_

#include <string>

#include "meshstep/v1/validate_report.pb.h"

namespace meshstep {

// Inside a page of sim/report/html/html.h.
std::string ScatterChart(const v1::ValidateReport& report, double width);
// A file of its own.
std::string ScatterSvg(const v1::ValidateReport& report);
// The section of a page: the drawing, families and every row as tables.
std::string ValidateToHtml(const v1::ValidateReport& report);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_VALIDATE_SCATTER_H_
