// The planes of a torus: chips as squares, the links of the first two dimensions between them; a
// row of chips for every further dimension.

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/base/format.h"
#include "sim/base/index.h"
#include "sim/report/html/html_topology.h"

namespace meshstep {
namespace {

// Of a long dimension the first chips and the last are drawn.
constexpr int kMost = 16, kFirst = 12;
constexpr double kPitch = 30;  // pixels between chips, at most
constexpr const char* kDimensions[] = {"x", "y", "z", "u", "v", "w"};

using Chip = std::vector<int>;  // coordinates

class TorusDrawing {
 public:
  TorusDrawing(const FabricUse& use, double width) : use_(use), width_(width) {
    const std::vector<int>& slice = use.cluster().slice;
    for (int d = 0; d < static_cast<int>(slice.size()); ++d) {
      if (slice[Index(d)] > 1) dims_.push_back(d);
    }
  }

  std::string Draw() {
    if (dims_.empty()) return "";
    const int across = dims_[0], down = dims_.size() > 1 ? dims_[1] : -1;
    const std::vector<UseLabel> labels = Labels();
    const bool narrow = width_ < 600;
    const double room = narrow ? width_ : 0.66 * width_;
    std::vector<Plane> planes = Planes();
    if (narrow && planes.size() > 2) planes.erase(planes.begin() + 1);
    const auto columns = static_cast<double>(ShownOf(across).size());
    const double rows = down < 0 ? 1 : static_cast<double>(ShownOf(down).size());
    const auto count = static_cast<double>(planes.size());
    const double pitch = std::min(kPitch, room / (count * (columns + 0.8)));
    const double plane_width = pitch * (columns + 0.8);
    const double strip = pitch * 1.4 + 18;
    const auto strips = dims_.size() > 2 ? static_cast<double>(dims_.size() - 2) : 0;
    double bottom = 18 + pitch * (rows + 0.8) + strips * strip;
    const double beside = std::max(count * plane_width, strips > 0 ? StripWidth(pitch) : 0) + 24;
    Svg svg(width_,
            narrow ? bottom + LabelsHeight(labels.size())
                   : std::max(bottom, LabelsHeight(labels.size())),
            "Links of the torus by how busy they are");
    for (std::size_t p = 0; p < planes.size(); ++p) {
      const double left = static_cast<double>(p) * plane_width;
      svg.Text(left + 2, 12, planes[p].name, "start", "s");
      DrawPlane(planes[p].origin, across, down, left, 18, pitch);
    }
    double y = 18 + pitch * (rows + 0.8);
    for (std::size_t i = 2; i < dims_.size(); ++i, y += strip) {
      svg.Text(2, y + 12, absl::StrCat("along ", kDimensions[dims_[i]]), "start", "s");
      DrawPlane(Chip(use_.cluster().slice.size(), 0), dims_[i], -1, 0, y + 14,
                std::min(pitch, room / (static_cast<double>(ShownOf(dims_[i]).size()) + 0.8)));
    }
    links_.Draw(&svg);
    svg.Path(chips_, "chip");
    DrawLabels(labels, narrow ? 0 : beside, narrow ? bottom : 14, &svg);
    return svg.Take();
  }

 private:
  struct Plane {
    std::string name;
    Chip origin;
  };

  int extent(int d) const { return use_.cluster().slice[Index(d)]; }

  std::vector<int> ShownOf(int d) const {
    std::vector<int> shown;
    for (int c = 0; c < extent(d); ++c) {
      if (extent(d) <= kMost || c < kFirst || c >= extent(d) - (kMost - kFirst)) shown.push_back(c);
    }
    return shown;
  }

  double StripWidth(double pitch) const {
    double most = 0;
    for (std::size_t i = 2; i < dims_.size(); ++i) {
      most = std::max(most, pitch * (static_cast<double>(ShownOf(dims_[i]).size()) + 0.8));
    }
    return most;
  }

  DeviceId DeviceOf(const Chip& chip) const {
    int device = 0;
    for (std::size_t d = chip.size(); d-- > 0;)
      device = device * extent(static_cast<int>(d)) + chip[d];
    return device * use_.cluster().chip.devices_per_chip;
  }

  // The busier direction of the pair of links up along `d`; none where a line ends.
  std::optional<LinkId> LinkUp(const Chip& from, int d) const {
    const Cluster& cluster = use_.cluster();
    Chip to = from;
    ++to[Index(d)];
    if (to[Index(d)] == extent(d)) {
      if (!cluster.wraps[Index(d)] || extent(d) <= 2) return std::nullopt;
      to[Index(d)] = 0;
      const int shortest = *std::ranges::min_element(cluster.slice);
      if (cluster.twisted && extent(d) == shortest) {
        for (std::size_t other = 0; other < to.size(); ++other) {
          const int e = cluster.slice[other];
          if (e != shortest) to[other] = (to[other] + shortest) % e;
        }
      }
    }
    std::vector<Hop> up, down;
    use_.fabric().Route(DeviceOf(from), DeviceOf(to), &up);
    use_.fabric().Route(DeviceOf(to), DeviceOf(from), &down);
    if (up.size() != 1 || down.size() != 1) return std::nullopt;
    return use_.Use(up[0].link) < use_.Use(down[0].link) ? down[0].link : up[0].link;
  }

  // down: -1 for a row of chips.
  void DrawPlane(const Chip& origin, int across, int down, double left, double top, double pitch) {
    const std::vector<int> columns = ShownOf(across);
    const std::vector<int> rows = down < 0 ? std::vector<int>{0} : ShownOf(down);
    const double half = std::max(1.5, 0.2 * pitch);
    const std::string side = SvgNumber(2 * half);
    for (std::size_t j = 0; j < rows.size(); ++j) {
      for (std::size_t i = 0; i < columns.size(); ++i) {
        Chip chip = origin;
        chip[Index(across)] = columns[i];
        if (down >= 0) chip[Index(down)] = rows[j];
        const double x = left + pitch * (static_cast<double>(i) + 0.9);
        const double y = top + pitch * (static_cast<double>(j) + 0.9);
        absl::StrAppend(&chips_, "M", SvgNumber(x - half), " ", SvgNumber(y - half), "h", side, "v",
                        side);
        absl::StrAppend(&chips_, "h-", side, "z");
        DrawLink(chip, across, columns, i, x, y, pitch, true);
        if (down >= 0) DrawLink(chip, down, rows, j, x, y, pitch, false);
      }
    }
  }

  void DrawLink(const Chip& chip, int d, const std::vector<int>& shown, std::size_t i, double x,
                double y, double pitch, bool across) {
    const std::optional<LinkId> link = LinkUp(chip, d);
    if (!link) return;
    const std::string style = pitch > 16 ? "" : "thin";
    const auto line = [&](double begin, double length) {
      return absl::StrCat("M", SvgNumber(across ? x + begin : x), " ",
                          SvgNumber(across ? y : y + begin), across ? "h" : "v", SvgNumber(length));
    };
    if (i + 1 < shown.size()) {
      const bool left_out = shown[i + 1] != chip[Index(d)] + 1;
      links_.Add(use_, *link, left_out ? style + " gap" : style, line(0, pitch));
      return;
    }
    links_.Add(use_, *link, style, line(0, 0.6 * pitch));
    links_.Add(use_, *link, style,
               line(-pitch * static_cast<double>(shown.size() - 1), -0.6 * pitch));
  }

  // Planes of the third dimension whose links are used alike are drawn once; of many the first, one
  // in the middle and the last.
  std::vector<Plane> Planes() const {
    const int torus_dims = static_cast<int>(use_.cluster().slice.size());
    const std::string name = dims_.size() < 2 ? kDimensions[dims_[0]]
                                              : absl::StrCat(kDimensions[dims_[0]], " (across), ",
                                                             kDimensions[dims_[1]], " (down)");
    Chip origin(Index(torus_dims), 0);
    if (dims_.size() < 3) return {{name, origin}};
    struct Alike {
      std::vector<std::size_t> links;
      std::vector<int> at;
    };
    std::vector<Alike> kinds;
    for (int c = 0; c < extent(dims_[2]); ++c) {
      origin[Index(dims_[2])] = c;
      std::vector<std::size_t> links = LinksOf(origin);
      auto kind = std::ranges::find(kinds, links, &Alike::links);
      if (kind == kinds.end()) kind = kinds.insert(kinds.end(), {std::move(links), {}});
      kind->at.push_back(c);
    }
    if (kinds.size() > 3) kinds = {kinds.front(), kinds[kinds.size() / 2], kinds.back()};
    std::vector<Plane> planes;
    for (const Alike& kind : kinds) {
      origin[Index(dims_[2])] = kind.at.front();
      const std::size_t alike = kind.at.size();
      planes.push_back({absl::StrCat(kDimensions[dims_[2]], " = ", kind.at.front(),
                                     alike > 1 ? absl::StrCat(", ", alike, " alike") : ""),
                        origin});
    }
    planes.front().name = absl::StrCat(name, "; ", planes.front().name);
    if (planes.size() > 1)
      planes.front().name = absl::StrCat(kDimensions[dims_[0]], kDimensions[dims_[1]], ", ",
                                         planes.front().name.substr(name.size() + 2));
    return planes;
  }

  std::vector<std::size_t> LinksOf(Chip chip) const {
    std::vector<std::size_t> links;
    for (const int a : ShownOf(dims_[0])) {
      for (const int b : ShownOf(dims_[1])) {
        chip[Index(dims_[0])] = a;
        chip[Index(dims_[1])] = b;
        for (const int d : {dims_[0], dims_[1]}) {
          const std::optional<LinkId> link = LinkUp(chip, d);
          links.push_back(link ? use_.IndexOf(*link) : static_cast<std::size_t>(-1));
        }
      }
    }
    return links;
  }

  std::vector<UseLabel> Labels() const {
    std::vector<UseLabel> labels;
    const Cluster& cluster = use_.cluster();
    const auto add = [&](const std::string& what, const std::string& up, const std::string& down) {
      const LinkKind a = use_.Kind(up), b = use_.Kind(down);
      if (a.links + b.links == 0) return;
      const double use = std::max(a.use, b.use), busiest = std::max(a.busiest, b.busiest);
      const bool even = busiest < 1.02 * use + 1e-4;
      labels.push_back(
          {use,
           absl::StrCat(what, ": ", FormatPercent(use), " busy",
                        even ? "" : absl::StrCat(", at most ", FormatPercent(busiest))),
           absl::StrCat(FormatCount(a.links + b.links), " links of ",
                        FormatTraffic(std::max(a.capacity, b.capacity)), "/s; ",
                        FormatTraffic(std::max(a.bytes, b.bytes)), " each")});
    };
    for (const int d : dims_) {
      const std::string name = kDimensions[d];
      const bool ring = cluster.wraps[Index(d)] && extent(d) > 2;
      add(absl::StrCat(name, ", ", ring ? "ring of " : "line of ", extent(d)), name + "+",
          name + "-");
    }
    add("between the dies of a chip", "die up", "die down");
    add(absl::StrCat("between ", cluster.slices, " slices"), "dcn up", "dcn down");
    return labels;
  }

  const FabricUse& use_;
  const double width_;
  std::vector<int> dims_;  // longer than 1
  LinkPaths links_;
  std::string chips_;
};

}  // namespace

std::string TorusChart(const FabricUse& use, double width) {
  return TorusDrawing(use, width).Draw();
}

}  // namespace meshstep
