// The drawings of an HTML report. Each is made for a width in pixels: once for wide screens and
// once for phones, with text that is readable on both.

#ifndef MESHSTEP_SIM_REPORT_HTML_HTML_CHARTS_H_
#define MESHSTEP_SIM_REPORT_HTML_HTML_CHARTS_H_

#include <span>
#include <string>
#include <vector>

#include "meshstep/v1/report.pb.h"
#include "sim/engine/engine.h"
#include "sim/simulate/link_usage.h"
#include "strategies/plan/plan.h"
#include "strategies/step/step_graph.h"

namespace meshstep {

// Parts of a bar that add up; `style` is a class of html_style.cc.
struct BarPart {
  std::string style, name;
  double seconds;
};
struct BarOfParts {
  std::string label;
  std::vector<BarPart> parts;
};
// The five parts of a step, and what their colours mean.
BarOfParts PartsOf(const std::string& label, const v1::Breakdown& breakdown);
std::string BreakdownKey();
// Bars one below the other on one time axis.
std::string BreakdownChart(std::span<const BarOfParts> bars, double width);

// The same without numbers, low enough for 64 of them.
std::string StagesChart(std::span<const BarOfParts> bars, double width);

// What each unit does over the step, for any width: the share of each moment in which its compute
// and its communication are in use; and the kernels of a window, of which the script of the page
// shows any other. It opens on the steady state of `unit`.
std::string TimelineChart(const StepGraph& step, const Run& run, std::int32_t unit);

struct MemoryLimits {
  double capacity;  // bytes of one device that programs can fill
  double reserve;   // of it, for what the software takes beyond the buckets
};
// Bytes by bucket on the unit over the step, its peak (named `peak`) and its limits, which are told
// in words where they are far above the peak.
std::string MemoryChart(const StepGraph& step, const Run& run, std::int32_t unit,
                        MemoryLimits limits, const std::string& peak, double width);

// Kernels of one name and pass on one device.
struct KernelSum {
  std::string name;
  Pass pass;
  std::int64_t count = 0;
  double seconds = 0, flops = 0, bytes = 0;
};
// Longest first, of one unit.
std::vector<KernelSum> SumKernels(const StepGraph& step, const Run& run, std::int32_t unit);
// Roofline (Williams et al., CACM 52(4), 2009) with the kernels that do FLOPs; the area of a dot is
// its share of the time. peak and bandwidth: of one device, data sheet.
std::string RooflineChart(std::span<const KernelSum> kernels, FlopsPerSecond peak,
                          BytesPerSecond bandwidth, double width);

// A row per link of `links` (indices into step.links): utilisation over the step as a heat map.
std::string LinkChart(const StepGraph& step, const Run& run,
                      std::span<const std::vector<LinkPoint>> usage, std::span<const int> links,
                      double width);

// Differences that add up, as bars to the left (faster) and right (slower) of zero.
struct DifferenceBar {
  std::string label;
  double seconds;
};
std::string DifferenceChart(std::span<const DifferenceBar> bars, double width);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_HTML_HTML_CHARTS_H_
