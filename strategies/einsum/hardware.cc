#include "strategies/einsum/hardware.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "strategies/bounds/tiers.h"
#include "topologies/wraparound.h"

namespace meshstep::einsum {

Hardware HardwareOf(const Chip& chip, RateSet set) {
  const Rates& rates = chip.rates(set);
  Hardware hardware;
  hardware.name = chip.name;
  hardware.matmul = rates.matmul;
  hardware.hbm_rate = rates.hbm_rate;
  hardware.hbm = rates.hbm;
  hardware.link = rates.link;
  hardware.scale_out = rates.scale_out;
  hardware.interconnect = chip.interconnect;
  return hardware;
}

namespace {

// The physical dimensions of all axes, in order.
std::vector<int> PhysicalOf(const MeshShape& mesh) {
  std::vector<int> sizes;
  for (const MeshShape::Axis& axis : mesh.axes) {
    sizes.insert(sizes.end(), axis.physical.begin(), axis.physical.end());
  }
  return sizes;
}

std::string TorusPlacement(const Hardware& hardware, const MeshShape& mesh) {
  const std::vector<std::vector<bool>> rings = Rings(hardware, mesh);
  std::string text;
  for (std::size_t a = 0; a < rings.size(); ++a) {
    for (std::size_t i = 0; i < rings[a].size(); ++i) {
      const int size = mesh.axes[a].physical[i];
      if (size == 1) continue;
      absl::StrAppend(&text, text.empty() ? "" : ", ", mesh.axes[a].name, " a ",
                      rings[a][i] ? "ring" : "line", " of ", size);
    }
  }
  const std::vector<int> slice = SliceOfMesh(hardware.interconnect, PhysicalOf(mesh));
  if (text.empty() || static_cast<int>(slice.size()) > hardware.interconnect.dimensions) {
    return text;
  }
  return absl::StrCat(text, ", on a slice of ", absl::StrJoin(slice, "x"));
}

// Axes innermost first.
std::vector<AxisId> OrderOf(const MeshShape& mesh, std::vector<AxisId> order) {
  if (!order.empty()) return order;
  for (std::size_t a = mesh.axes.size(); a-- > 0;) order.push_back(static_cast<AxisId>(a));
  return order;
}

std::string SwitchPlacement(const Hardware& hardware, const MeshShape& mesh,
                            const std::vector<AxisId>& order) {
  const std::vector<double> locals = LocalSizes(hardware, mesh, order);
  const std::string node = absl::StrCat("a node of ", hardware.interconnect.domain_chips);
  std::string text;
  for (AxisId axis : OrderOf(mesh, order)) {
    const auto a = static_cast<std::size_t>(axis);
    const int size = mesh.axes[a].size;
    if (size == 1) continue;
    absl::StrAppend(&text, text.empty() ? "" : ", ", mesh.axes[a].name);
    if (locals[a] >= size) {
      absl::StrAppend(&text, " inside ", node);
    } else {
      absl::StrAppend(&text, " ", locals[a], " in each of ", std::ceil(size / locals[a]), " nodes");
    }
  }
  return text.empty() ? text : text + " (innermost first)";
}

std::vector<std::string> SwitchNotes(const Hardware& hardware, const MeshShape& mesh,
                                     const std::vector<AxisId>& order,
                                     const std::set<AxisId>& communicate) {
  const std::vector<double> locals = LocalSizes(hardware, mesh, order);
  std::vector<std::string> notes;
  for (AxisId axis : communicate) {
    const MeshShape::Axis& moved = mesh.axes[static_cast<std::size_t>(axis)];
    const bool across = locals[static_cast<std::size_t>(axis)] < moved.size;
    if (!across || moved.size > hardware.interconnect.domain_chips) continue;
    std::string first = moved.name;
    for (AxisId other : OrderOf(mesh, order)) {
      if (other != axis) first += "," + mesh.axes[static_cast<std::size_t>(other)].name;
    }
    notes.push_back(absl::StrCat(moved.name, " is across nodes of ",
                                 hardware.interconnect.domain_chips, " chips; --order=", first,
                                 " puts it inside one"));
  }
  return notes;
}

std::vector<std::string> TorusNotes(const Hardware& hardware, const MeshShape& mesh,
                                    const std::vector<AxisId>& order,
                                    const std::set<AxisId>& communicate) {
  const std::vector<std::vector<bool>> rings = Rings(hardware, mesh);
  std::vector<std::string> notes, lines;
  int dims = 0;
  for (std::size_t a = 0; a < rings.size(); ++a) {
    for (std::size_t i = 0; i < rings[a].size(); ++i) {
      if (mesh.axes[a].physical[i] == 1) continue;
      ++dims;
      const bool named = !lines.empty() && lines.back() == mesh.axes[a].name;
      if (!rings[a][i] && !named) lines.push_back(mesh.axes[a].name);
    }
  }
  if (!lines.empty() && !communicate.empty()) {
    notes.push_back(absl::StrCat("taken as physical dimensions of ", hardware.name, ", ",
                                 absl::StrJoin(lines, ", "),
                                 " do not close into rings; --cost=book assumes that they do, and "
                                 "X=4x4 spans two dimensions"));
  }
  if (hardware.interconnect.dimensions > 0 && dims > hardware.interconnect.dimensions) {
    notes.push_back(absl::StrCat("the mesh has ", dims, " dimensions and the torus of ",
                                 hardware.name, " ", hardware.interconnect.dimensions,
                                 ": each is priced with a link of its own"));
  }
  if (!order.empty()) notes.push_back("--order has no effect on a torus");
  return notes;
}

}  // namespace

std::vector<std::vector<bool>> Rings(const Hardware& hardware, const MeshShape& mesh) {
  const Interconnect& net = hardware.interconnect;
  const std::vector<int> sizes = PhysicalOf(mesh);
  const std::vector<bool> wraps = WrapsOf(net, SliceOfMesh(net, sizes));
  std::vector<std::vector<bool>> rings;
  std::size_t dim = 0;
  for (const MeshShape::Axis& axis : mesh.axes) {
    std::vector<bool> of_axis;
    for (int size : axis.physical) of_axis.push_back(wraps[dim++] && size > 1);
    rings.push_back(std::move(of_axis));
  }
  return rings;
}

std::vector<double> LocalSizes(const Hardware& hardware, const MeshShape& mesh,
                               const std::vector<AxisId>& order) {
  std::vector<double> locals(mesh.axes.size(), 1);
  const double domain = std::max(1, hardware.interconnect.domain_chips);
  double stride = 1;
  for (AxisId axis : OrderOf(mesh, order)) {
    const auto a = static_cast<std::size_t>(axis);
    locals[a] = LocalTo(domain, stride, mesh.axes[a].size);
    stride *= mesh.axes[a].size;
  }
  return locals;
}

std::string PlacementOf(const Hardware& hardware, const MeshShape& mesh,
                        const std::vector<AxisId>& order) {
  return hardware.is_switch() ? SwitchPlacement(hardware, mesh, order)
                              : TorusPlacement(hardware, mesh);
}

std::vector<std::string> PlacementNotes(const Hardware& hardware, const MeshShape& mesh,
                                        const std::vector<AxisId>& order,
                                        const std::set<AxisId>& communicate) {
  return hardware.is_switch() ? SwitchNotes(hardware, mesh, order, communicate)
                              : TorusNotes(hardware, mesh, order, communicate);
}

}  // namespace meshstep::einsum
