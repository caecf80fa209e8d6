// A cluster of nodes from the inside out: the switch or full mesh of one node, its chips, their
// NICs, and the switches above. Of all nodes the one with the busiest NICs is drawn.

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sim/base/format.h"
#include "sim/base/index.h"
#include "sim/report/html/html_topology.h"

namespace meshstep {
namespace {

constexpr int kMostChips = 72;
constexpr double kBar = 24, kGap = 52;  // pixels: a switch, and the links between two
constexpr double kNic = 10, kStub = 14, kChip = 22;

// The busier of two.
LinkId Busier(const FabricUse& use, LinkId a, LinkId b) { return use.Use(a) < use.Use(b) ? b : a; }

class NodesDrawing {
 public:
  NodesDrawing(const FabricUse& use, double width)
      : use_(use), width_(width), narrow_(width < 600), right_(narrow_ ? width : 0.62 * width) {
    const std::vector<Level>& levels = use.fabric().levels();
    dies_ = use.cluster().chip.devices_per_chip;
    node_ = dies_ > 1 ? 1 : 0;
    chips_ = levels[Index(node_)].extent;
    nodes_ = use.fabric().devices() / dies_ / chips_;
    shown_ = std::min(chips_, kMostChips);
    tiers_ = static_cast<int>(levels.size()) - node_ - 1;
    shown_node_ = BusiestNode();
  }

  std::string Draw() {
    const double mesh = full_mesh() ? 24.0 + 0.1 * right_ : kGap + kBar;
    const double network = tiers_ > 0 ? tiers_ * (kBar + kGap) + kNic + kStub : 0;
    const double height = 6 + network + kChip + mesh + 34;
    const std::vector<UseLabel> labels = Labels();
    Svg svg(width_,
            narrow_ ? height + LabelsHeight(labels.size()) + 8
                    : std::max(height, LabelsHeight(labels.size()) + 8),
            "Links of the cluster by how busy they are");
    double y = 4;
    for (int t = tiers_ - 1; t >= 0; --t) {
      DrawSwitch(y, SwitchName(t), &svg);
      const double bottom = y + kBar + kGap;
      for (int c = 0; c < shown_; ++c) {
        if (t == 0 || has_rails(t - 1)) DrawUp(c, t, y + kBar, bottom);
      }
      if (t > 0 && !has_rails(t - 1)) DrawUp(0, t, y + kBar, bottom);
      y = bottom;
    }
    DrawNode(y, mesh, &svg);
    paths_.Draw(&svg);
    DrawLabels(labels, narrow_ ? 0 : right_ + 24, narrow_ ? height + 8 : 4, &svg);
    return svg.Take();
  }

 private:
  bool full_mesh() const {
    return use_.fabric().levels()[Index(node_)].kind == Level::Kind::kFullMesh;
  }
  bool has_rails(int tier) const {
    const std::vector<Tier>& tiers = use_.cluster().nodes.tiers;
    for (const Tier& declared : tiers) {
      if (declared.name == TierName(tier)) return declared.rails;
    }
    return false;
  }
  const std::string& TierName(int tier) const {
    return use_.fabric().levels()[Index(node_ + 1 + tier)].name;
  }
  DeviceId DeviceOf(int node, int chip) const { return (node * chips_ + chip) * dies_; }
  double X(int chip) const { return 8 + (right_ - 16) * (chip + 0.5) / shown_; }

  int UnitsOf(int tier) const {
    int nodes = 1;
    for (int t = 0; t <= tier; ++t) nodes *= use_.fabric().levels()[Index(node_ + 1 + t)].extent;
    return nodes_ / nodes;
  }

  // Links of `chip` towards tier `tier` (0: its NICs), the busier direction of each pair.
  std::vector<LinkId> LinksUp(int node, int chip, int tier) const {
    // A node that no tier below the last joins with this one.
    int below = 1;
    for (int t = 0; t + 1 < tiers_; ++t) {
      below *= use_.fabric().levels()[Index(node_ + 1 + t)].extent;
    }
    int other = (node + below) % nodes_, other_chip = chip;
    if (other == node || below == nodes_) {
      // The last tier only joins rails.
      other = (node + 1) % nodes_;
      other_chip = (chip + std::max(1, chips_ / use_.cluster().nodes.nics_per_node)) % chips_;
    }
    std::vector<Hop> out, in;
    use_.fabric().Route(DeviceOf(node, chip), DeviceOf(other, other_chip), &out);
    use_.fabric().Route(DeviceOf(other, other_chip), DeviceOf(node, chip), &in);
    const std::string name = tier == 0 ? "nic" : TierName(tier - 1);
    std::vector<LinkId> up, down, links;
    for (const Hop& hop : out) {
      if (use_.fabric().LinkName(hop.link).starts_with(name + " up ")) up.push_back(hop.link);
    }
    for (const Hop& hop : in) {
      if (use_.fabric().LinkName(hop.link).starts_with(name + " down ")) down.push_back(hop.link);
    }
    for (std::size_t i = 0; i < std::min(up.size(), down.size()); ++i) {
      links.push_back(Busier(use_, up[i], down[i]));
    }
    return links;
  }

  int BusiestNode() const {
    int best = 0;
    double most = -1;
    for (int n = 0; n < nodes_ && tiers_ > 0; ++n) {
      double sum = 0;
      for (const LinkId link : LinksUp(n, 0, 0)) sum += use_.Use(link);
      if (sum > most * 1.000001) {
        most = sum;
        best = n;
      }
    }
    return best;
  }

  std::string LineStyle(double lines) const {
    const double pitch = (right_ - 16) / lines;
    return pitch > 60 ? "thick" : pitch > 12 ? "" : "thin";
  }

  void DrawUp(int chip, int tier, double top, double bottom) {
    const std::vector<LinkId> links = LinksUp(shown_node_, chip, tier);
    const int sharing = std::max(1, chips_ / use_.cluster().nodes.nics_per_node);
    const bool one = tier > 0 && !has_rails(tier - 1);
    if (chip % sharing != 0) return;
    const double pitch = (right_ - 16) / shown_ * sharing;
    for (std::size_t i = 0; i < links.size(); ++i) {
      const double offset = (static_cast<double>(i) + 0.5) / static_cast<double>(links.size());
      const double x = one ? right_ / 2 : 8 + (right_ - 16) * chip / shown_ + pitch * offset;
      paths_.Add(use_, links[i], one ? "fat" : LineStyle(shown_ * 1.0 / sharing),
                 absl::StrCat("M", SvgNumber(x), " ", SvgNumber(top), "V", SvgNumber(bottom)));
      if (tier == 0) nics_.push_back(x);
    }
  }

  void DrawSwitch(double y, const std::string& name, Svg* svg) const {
    svg->Rect(8, y, right_ - 16, kBar, "chip");
    svg->Text(right_ / 2, y + 16, name, "middle", "on");
  }

  std::string SwitchName(int tier) const {
    const int units = UnitsOf(tier);
    const int rails = use_.cluster().nodes.nics_per_node;
    std::string name = TierName(tier);
    if (has_rails(tier)) absl::StrAppend(&name, ", ", rails, " rails");
    const std::string times = units > 1 ? absl::StrCat("  × ", FormatCount(units)) : "";
    return name + times;
  }

  // From the NICs down to the switch of the node.
  void DrawNode(double top, double mesh, Svg* svg) {
    double y = top;
    const double frame = top - (tiers_ > 0 ? 6 : 0);
    if (tiers_ > 0) {
      const double side = std::min(16.0, 0.7 * (right_ - 16) / static_cast<double>(nics_.size()));
      for (const double x : nics_) {
        svg->Rect(x - side / 2, y, side, kNic, "chip");
        svg->Line(x, y + kNic, x, y + kNic + kStub, "grid");
      }
      y += kNic + kStub;
    }
    const double pitch = (right_ - 16) / shown_;
    const double side = std::min(0.75 * pitch, 44.0);
    for (int c = 0; c < shown_; ++c) svg->Rect(X(c) - side / 2, y, side, kChip, "chip");
    if (pitch > 26) {
      for (int c = 0; c < shown_; ++c) {
        svg->Text(X(c), y + 15, absl::StrCat(c), "middle", "on");
      }
    }
    y += kChip;
    if (chips_ > 1) DrawInside(y, mesh, svg);
    y += mesh + 4;
    svg->Rect(2, frame, right_ - 4, y - frame, "frame");
    std::string name = absl::StrCat("node of ", chips_, chips_ > 1 ? " chips" : " chip");
    if (nodes_ > 1) absl::StrAppend(&name, "  × ", FormatCount(nodes_));
    if (shown_ < chips_) absl::StrAppend(&name, " (", shown_, " chips drawn)");
    svg->Text(right_ / 2, y + 16, name, "middle", "m");
  }

  void DrawInside(double y, double mesh, Svg* svg) {
    const Fabric& fabric = use_.fabric();
    if (!full_mesh()) {
      for (int c = 0; c < shown_; ++c) {
        std::vector<Hop> out, in;
        fabric.Route(DeviceOf(shown_node_, c), DeviceOf(shown_node_, (c + 1) % chips_), &out);
        fabric.Route(DeviceOf(shown_node_, (c + 1) % chips_), DeviceOf(shown_node_, c), &in);
        paths_.Add(use_, Busier(use_, out.front().link, in.back().link), LineStyle(shown_),
                   absl::StrCat("M", SvgNumber(X(c)), " ", SvgNumber(y), "v", SvgNumber(kGap)));
      }
      DrawSwitch(y + kGap, "switch of the node", svg);
      return;
    }
    for (int a = 0; a < shown_; ++a) {
      for (int b = a + 1; b < shown_; ++b) {
        std::vector<Hop> out, in;
        fabric.Route(DeviceOf(shown_node_, a), DeviceOf(shown_node_, b), &out);
        fabric.Route(DeviceOf(shown_node_, b), DeviceOf(shown_node_, a), &in);
        const double depth = 2 * (mesh - 6) * (b - a) / shown_;
        paths_.Add(use_, Busier(use_, out.front().link, in.front().link), "thin",
                   absl::StrCat("M", SvgNumber(X(a)), " ", SvgNumber(y), "q",
                                SvgNumber((X(b) - X(a)) / 2), " ", SvgNumber(depth)) +
                       absl::StrCat(" ", SvgNumber(X(b) - X(a)), " 0"));
      }
    }
  }

  // From the outside in, as they are drawn.
  std::vector<UseLabel> Labels() const {
    std::vector<UseLabel> labels;
    const auto add = [&](const std::string& what, const std::string& up, const std::string& down) {
      const LinkKind a = use_.Kind(up), b = use_.Kind(down);
      if (a.links + b.links == 0) return;
      const LinkKind& more = a.use < b.use ? b : a;
      const bool even = more.busiest < 1.02 * more.use + 1e-4;
      labels.push_back(
          {more.use,
           absl::StrCat(what, ": ", FormatPercent(more.use), " busy",
                        even ? "" : absl::StrCat(", at most ", FormatPercent(more.busiest))),
           absl::StrCat(FormatCount(std::max(a.links, b.links)), " × ",
                        FormatTraffic(more.capacity), "/s", b.links > 0 ? " each way; " : "; ",
                        FormatTraffic(more.bytes), " a step each")});
    };
    for (int t = tiers_ - 1; t > 0; --t) {
      add(absl::StrCat(TierName(t - 1), " to ", TierName(t)), TierName(t - 1) + " up",
          TierName(t - 1) + " down");
    }
    if (tiers_ > 0) add(absl::StrCat("NIC to ", TierName(0)), "nic up", "nic down");
    if (full_mesh()) {
      add("chip to chip", "node", "");
    } else {
      add("chip to switch", "node up", "node down");
    }
    add("between the dies of a chip", "die up", "die down");
    return labels;
  }

  const FabricUse& use_;
  const double width_;
  const bool narrow_;
  const double right_;  // of the drawing
  int node_ = 0, dies_ = 1, chips_ = 1, nodes_ = 1, shown_ = 1, tiers_ = 0, shown_node_ = 0;
  LinkPaths paths_;
  std::vector<double> nics_;
};

}  // namespace

std::string NodesChart(const FabricUse& use, double width) {
  return NodesDrawing(use, width).Draw();
}

}  // namespace meshstep
