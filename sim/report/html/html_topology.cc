#include "sim/report/html/html_topology.h"

#include <algorithm>
#include <functional>

#include "absl/strings/str_cat.h"
#include "sim/base/check.h"
#include "sim/base/format.h"
#include "sim/base/index.h"
#include "sim/report/html/html_charts.h"
#include "sim/report/html/html_parts.h"
#include "sim/report/html/html_use.h"
#include "topologies/build_fabric.h"
#include "topologies/tiers.h"

namespace meshstep {
namespace {

constexpr std::size_t kMaxLinks = 24;
constexpr double kLabel = 40;  // pixels of height

std::string KindOf(const std::string& link) {
  std::string name = link.substr(0, link.find_first_of("0123456789("));
  while (!name.empty() && name.back() == ' ') name.pop_back();
  return name;
}

}  // namespace

FabricUse::FabricUse(const Scenario& scenario, const StepGraph& step, const Run& run)
    : cluster_(FitTiers(scenario.cluster, scenario.plan.axes)),
      step_(step),
      makespan_(run.makespan),
      fabric_(BuildFabric(cluster_, RateSet::kDatasheet, Fidelity::kIdeal)),
      usage_(LinkUsage(step.graph, run)) {
  StatusOr<Mesh> mesh = Mesh::Place(*fabric_, scenario.plan.axes);
  CHECK(mesh.ok()) << "the step was placed on this fabric";
  mesh_ = std::make_unique<Mesh>(*std::move(mesh));
  classes_ = std::make_unique<LinkClasses>(*mesh_, step.distinguished);
  for (const std::vector<LinkPoint>& points : usage_) {
    mean_.push_back(MeanUsage(points, makespan_));
  }
  AddKinds();
}

void FabricUse::AddKinds() {
  for (std::size_t l = 0; l < step_.links.size(); ++l) {
    const std::string name = KindOf(step_.links[l].name);
    auto kind = std::ranges::find(kinds_, name, &LinkKind::name);
    if (kind == kinds_.end()) kind = kinds_.insert(kinds_.end(), {.name = name});
    const auto links = static_cast<double>(step_.links[l].links);
    const double capacity = step_.graph.links()[l].value();
    kind->links += step_.links[l].links;
    kind->use += mean_[l] * links;
    kind->bytes += mean_[l] * links * capacity * makespan_.seconds();
    if (kind->example >= 0 && mean_[l] <= kind->busiest) continue;
    kind->busiest = mean_[l];
    kind->example = static_cast<int>(l);
    kind->capacity = capacity;
    kind->highest = 0;
    for (const LinkPoint& p : usage_[l]) kind->highest = std::max(kind->highest, p.fraction);
  }
  for (LinkKind& kind : kinds_) {
    kind.use /= static_cast<double>(kind.links);
    kind.bytes /= static_cast<double>(kind.links);
  }
}

std::size_t FabricUse::IndexOf(LinkId link) const {
  return step_.link_of_class.empty() ? Index(link)
                                     : Index(step_.link_of_class[Index(classes_->ClassOf(link))]);
}

std::string FabricUse::Tip(LinkId link) const {
  const std::size_t l = IndexOf(link);
  const double bytes = mean_[l] * step_.graph.links()[l].value() * makespan_.seconds();
  return absl::StrCat(step_.links[l].name, "\n", FormatPercent(mean_[l]), " busy, ",
                      FormatTraffic(bytes), " a step");
}

LinkKind FabricUse::Kind(const std::string& name) const {
  const auto kind = std::ranges::find(kinds_, name, &LinkKind::name);
  return kind == kinds_.end() ? LinkKind{.name = name} : *kind;
}

void LinkPaths::Add(const FabricUse& use, LinkId link, const std::string& style,
                    const std::string& d) {
  paths_[{absl::StrCat(UseStyle(use.Use(link)), " link ", style), use.Tip(link)}] += d;
}

void LinkPaths::Draw(Svg* svg) const {
  for (const auto& [key, d] : paths_) svg->Path(d, key.first, key.second);
}

double LabelsHeight(std::size_t labels) { return kLabel * static_cast<double>(labels); }

void DrawLabels(const std::vector<UseLabel>& labels, double x, double y, Svg* svg) {
  for (const UseLabel& label : labels) {
    if (label.use >= 0) svg->Rect(x, y + 4, 5, kLabel - 8, UseStyle(label.use));
    svg->Text(x + 14, y + 15, label.head, "start", "m");
    svg->Text(x + 14, y + 31, label.text, "start", "s");
    y += kLabel;
  }
}

std::string LinkSection(const Scenario& scenario, const StepGraph& step, const Run& run) {
  const FabricUse use(scenario, step, run);
  std::vector<LinkKind> kinds = use.kinds();
  std::erase_if(kinds, [](const LinkKind& kind) { return kind.busiest <= 0; });
  std::ranges::stable_sort(kinds, std::greater<>(), &LinkKind::busiest);
  if (kinds.size() > kMaxLinks) kinds.resize(kMaxLinks);
  if (kinds.empty()) return "";
  std::vector<int> links;
  std::vector<TableRow> rows = {{"kind", "links", "mean use", "bytes per link", "busiest",
                                 "its mean use", "its highest use", "capacity"}};
  for (const LinkKind& kind : kinds) {
    links.push_back(kind.example);
    rows.push_back({kind.name, FormatCount(kind.links), FormatPercent(kind.use),
                    FormatTraffic(kind.bytes), step.links[Index(kind.example)].name,
                    FormatPercent(kind.busiest), FormatPercent(kind.highest),
                    FormatTraffic(kind.capacity) + "/s"});
  }
  std::string out = Head("Links");
  const Cluster& cluster = use.cluster();
  if (!cluster.is_graph()) {
    out += Say(cluster.is_torus()
                   ? "Chips and the links between them, by how much of the step a link moves data "
                     "at its full rate. Stubs at the edges are the links that close a ring."
                   : "One node and the way up from it, by how much of the step a link moves data "
                     "at its full rate; the busier of its two directions.");
    out += Both(
        [&](double w) { return cluster.is_torus() ? TorusChart(use, w) : NodesChart(use, w); });
    out += UseKey();
  }
  out += Say(
      "The busiest link of each kind, from the start of the step to its end: the colour says how "
      "busy it is.");
  out += Both([&](double w) { return LinkChart(step, run, use.usage(), links, w); });
  if (cluster.is_graph()) out += UseKey();
  return out + Folded("As a table", Table(rows));
}

}  // namespace meshstep
