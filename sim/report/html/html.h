// A report as one HTML file that needs no network: figures, charts (sim/report/html/html_charts.h)
// and every number as a table. Under 1 MB.
//
//   std::string body = StepToHtml(scenario, step, run, report);
//   WriteFile("--html", "step.html", HtmlPage("My step", body));

#ifndef MESHSTEP_SIM_REPORT_HTML_HTML_H_
#define MESHSTEP_SIM_REPORT_HTML_HTML_H_

#include <string>
#include <vector>

#include "meshstep/v1/advice_report.pb.h"
#include "meshstep/v1/report.pb.h"
#include "sim/engine/engine.h"
#include "strategies/plan/plan.h"
#include "strategies/step/step_graph.h"

namespace meshstep {

// The section of one simulated step.
std::string StepToHtml(const Scenario& scenario, const StepGraph& step, const Run& run,
                       const v1::SimulateReport& report);

// What differs between the scenarios and why one is faster.
std::string CompareToHtml(const v1::CompareReport& report);

// What to buy or change next.
std::string SensitivityToHtml(const v1::SensitivityReport& report);

// A whole page.
std::string HtmlPage(const std::string& title, const std::string& body);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_HTML_HTML_H_
