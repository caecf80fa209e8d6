#include "sim/simulate/collective_setup.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "meshstep/v1/cluster.pb.h"
#include "sim/base/release.h"
#include "strategies/einsum/load_hardware.h"
#include "strategies/einsum/notation/mesh_shape.h"
#include "topologies/build_fabric.h"
#include "topologies/load_chip.h"
#include "topologies/load_cluster.h"
#include "topologies/wraparound.h"

namespace meshstep {
namespace {

struct NamedSize {
  std::string name;
  int size = 0;
};

constexpr int kMostRanks = 1 << 17;

// As `meshstep einsum` reads one: "X=4,Y=8", "{X:4,Y:8}" or "4x8" for X and Y.
StatusOr<std::vector<NamedSize>> ParseMesh(const std::string& text) {
  const StatusOr<einsum::MeshShape> parsed = einsum::ParseMeshShape(text);
  if (!parsed.ok()) return InvalidInput(absl::StrCat("--mesh: ", parsed.status().message()));
  std::vector<NamedSize> mesh;
  for (const einsum::MeshShape::Axis& axis : parsed->axes) {
    if (axis.physical.size() > 1) {
      return InvalidInput(absl::StrCat("--mesh: axis ", axis.name,
                                       " is more than one dimension of the torus; give each "
                                       "dimension an axis and name them in --over"));
    }
    mesh.push_back({axis.name, axis.size});
  }
  if (parsed->Chips() > kMostRanks) {
    return InvalidInput(absl::StrCat("--mesh: is \"", text.substr(0, 60), "\", more than ",
                                     kMostRanks, " devices"));
  }
  return mesh;
}

// "X,Y", or "XY" where no axis is called that.
StatusOr<std::vector<AxisId>> ParseAxes(const std::string& option, const std::string& text,
                                        const Mesh& mesh) {
  std::vector<std::string> names = absl::StrSplit(text, ',');
  if (names.size() == 1 && mesh.Find(text) < 0) {
    names.clear();
    for (const char c : text) names.push_back(std::string(1, c));
  }
  std::vector<std::string> known;
  for (const MeshAxis& axis : mesh.axes()) {
    if (axis.name.front() != '(') known.push_back(axis.name);
  }
  std::vector<AxisId> axes;
  for (const std::string& name : names) {
    const AxisId axis = mesh.Find(name);
    if (axis < 0 || std::find(axes.begin(), axes.end(), axis) != axes.end()) {
      return InvalidInput(absl::StrCat(option, ": is \"", text, "\", expected some of ",
                                       absl::StrJoin(known, ", "), ", each once"));
    }
    axes.push_back(axis);
  }
  // Inner levels are minor, so that ranks fill nodes.
  std::sort(axes.begin(), axes.end(), std::greater<>());
  return axes;
}

StatusOr<Cluster> LoadCluster(v1::Cluster proto, const Catalog& catalog,
                              std::vector<std::string>* notes) {
  Diagnostics diagnostics;
  ResolveClusterPresets(&proto, "cluster", catalog, &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  Cluster cluster = LoadCluster(proto, "cluster", &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  *notes = diagnostics.notes();
  return cluster;
}

StatusOr<Cluster> ClusterOfChip(const std::string& chip, const std::vector<NamedSize>& mesh,
                                const Catalog& catalog) {
  v1::Cluster proto;
  proto.mutable_chip()->set_preset(ChipPreset(chip));
  Diagnostics diagnostics;
  v1::Cluster resolved = proto;
  ResolveClusterPresets(&resolved, "cluster", catalog, &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  const Chip loaded = LoadChip(resolved.chip(), "chip", &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  const Interconnect& net = loaded.interconnect;
  int ranks = 1;
  std::vector<int> sizes;
  for (const NamedSize& axis : mesh) {
    ranks *= axis.size;
    sizes.push_back(axis.size);
  }
  if (loaded.devices_per_chip > 1) {
    return InvalidInput(absl::StrCat("--chip: \"", chip, "\" has ", loaded.devices_per_chip,
                                     " devices, use --cluster and --axes"));
  }
  if (net.kind == Interconnect::Kind::kTorus) {
    if (static_cast<int>(sizes.size()) > net.dimensions) {
      return InvalidInput(absl::StrCat("--mesh: has ", sizes.size(), " axes, but the torus of \"",
                                       chip, "\" has ", net.dimensions, " dimensions"));
    }
    proto.set_slice(absl::StrJoin(SliceOfMesh(net, sizes), "x"));
  } else {
    if (ranks > net.domain_chips) {
      return InvalidInput(absl::StrCat("--mesh: has ", ranks, " chips, but \"", chip,
                                       "\" is joined to ", net.domain_chips,
                                       " at most, use --cluster"));
    }
    proto.set_chips(ranks);
    proto.mutable_nodes()->set_chips_per_node(ranks);
    proto.mutable_nodes()->set_nic_gbytes_per_s(1);
  }
  // A mesh of a chip is a thought experiment: that its slice is not offered is no news.
  std::vector<std::string> notes;
  return LoadCluster(std::move(proto), catalog, &notes);
}

// One axis per level of the fabric.
std::vector<AxisRequest> LevelAxes(const Fabric& fabric) {
  std::vector<AxisRequest> requests;
  for (const Level& level : fabric.levels()) {
    const bool torus = level.kind == Level::Kind::kTorus;
    requests.push_back({level.name, level.extent, torus ? level.name : ""});
  }
  return requests;
}

// The named axes; on a torus one dimension each, and one more for the dimensions left.
std::vector<AxisRequest> MeshAxes(const Fabric& fabric, const std::vector<NamedSize>& mesh) {
  std::vector<AxisRequest> requests;
  const bool torus = fabric.levels().front().kind == Level::Kind::kTorus;
  for (std::size_t i = 0; i < mesh.size(); ++i) {
    requests.push_back({mesh[i].name, mesh[i].size, torus ? fabric.levels()[i].name : ""});
  }
  int rest = fabric.devices();
  for (const NamedSize& axis : mesh) rest /= axis.size;
  if (torus && rest > 1) requests.push_back({"(rest)", rest, ""});
  return requests;
}

Status Finish(const CollectivePlace& place, const std::vector<NamedSize>& mesh,
              CollectiveSetup* setup) {
  setup->fabric = BuildFabric(setup->cluster, place.rates, place.fidelity);
  const std::vector<AxisRequest> requests =
      mesh.empty() ? LevelAxes(*setup->fabric) : MeshAxes(*setup->fabric, mesh);
  ASSIGN_OR_RETURN(Mesh placed, Mesh::Place(*setup->fabric, requests));
  setup->mesh = std::make_unique<Mesh>(std::move(placed));
  const std::string option = mesh.empty() ? "--axes" : "--over";
  const std::string& text = mesh.empty() ? place.axes : place.over;
  if (text.empty()) {
    for (AxisId axis = static_cast<AxisId>(setup->mesh->axes().size()) - 1; axis >= 0; --axis) {
      if (setup->mesh->axes()[static_cast<std::size_t>(axis)].name != "(rest)") {
        setup->axes.push_back(axis);
      }
    }
  } else {
    ASSIGN_OR_RETURN(setup->axes, ParseAxes(option, text, *setup->mesh));
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<CollectiveSetup> SetUpCollective(const CollectivePlace& place, const Catalog& catalog) {
  if (place.cluster.empty() == place.chip.empty()) {
    return InvalidInput("--cluster or --chip: expected one of the two");
  }
  CollectiveSetup setup;
  std::vector<NamedSize> mesh;
  if (!place.chip.empty()) {
    if (place.mesh.empty() == (place.chips == 0)) {
      return InvalidInput(
          "--mesh or --chips: expected one of the two with --chip, as --mesh=X=4,Y=8");
    }
    if (!place.axes.empty() || !place.slice.empty() || place.slices != 0 || place.twisted) {
      return InvalidInput(
          "--axes, --slice, --slices and --twisted: go with --cluster, not with --chip");
    }
    ASSIGN_OR_RETURN(mesh,
                     ParseMesh(place.mesh.empty() ? absl::StrCat("X=", place.chips) : place.mesh));
    ASSIGN_OR_RETURN(setup.cluster, ClusterOfChip(place.chip, mesh, catalog));
  } else {
    if (!place.mesh.empty() || !place.over.empty()) {
      return InvalidInput("--mesh and --over: go with --chip, not with --cluster");
    }
    v1::Cluster proto;
    proto.set_preset(place.cluster);
    if (!place.slice.empty()) proto.set_slice(place.slice);
    if (place.chips != 0) proto.set_chips(place.chips);
    const auto [library, release] = NameAndRelease(place.library);
    if (!library.empty()) proto.mutable_library()->set_preset(library);
    if (!release.empty()) proto.mutable_library()->set_release(release);
    if (place.slices != 0) proto.set_slices(place.slices);
    if (place.twisted) proto.set_twisted(true);
    ASSIGN_OR_RETURN(setup.cluster, LoadCluster(std::move(proto), catalog, &setup.notes));
  }
  RETURN_IF_ERROR(Finish(place, mesh, &setup));
  return setup;
}

}  // namespace meshstep
