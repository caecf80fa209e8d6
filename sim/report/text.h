// Reports for people: aligned tables under 100 columns, units that a person reads.

#ifndef MESHSTEP_SIM_REPORT_TEXT_H_
#define MESHSTEP_SIM_REPORT_TEXT_H_

#include <string>

#include "meshstep/v1/report.pb.h"

namespace meshstep {

struct TextStyle {
  bool color = false;  // bold headings, colored verdicts; for terminals only
};

std::string ToText(const v1::SimulateReport& report, const TextStyle& style = {});
std::string ToText(const v1::CompareReport& report, const TextStyle& style = {});
std::string ToText(const v1::ListReport& report, const TextStyle& style = {});

// The parts of the physical bound, as lines.
std::string BoundsToText(const v1::SimulateReport& report);
// "software maxtext".
std::string Software(const std::string& framework);
// What takes most of the step beside forward and backward: "most lost to recomputation, 19.8 %".
std::string LargestLoss(const v1::SimulateReport& report);
// "fits: 61.2 of 95.0 GiB", "does not fit: 12.3 GiB too much on stage 0".
std::string Verdict(const v1::Memory& memory);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_TEXT_H_
