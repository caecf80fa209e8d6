#include "topologies/placement.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "topologies/torus_split.h"

namespace meshstep {
namespace {

class Placer {
 public:
  explicit Placer(const Fabric& fabric) : levels_(fabric.levels()) {
    for (const Level& level : levels_) {
      left_.push_back(level.extent);
      torus_ |= level.kind == Level::Kind::kTorus;
    }
  }

  StatusOr<std::vector<AxisPart>> Place(const AxisRequest& request, std::span<const int> later) {
    if (!request.physical.empty()) return PlacePhysical(request);
    return torus_ ? PlaceOnTorus(request, later) : PlaceInOrder(request);
  }

 private:
  int taken(std::size_t level) const { return levels_[level].extent / left_[level]; }

  void Take(std::size_t level, int size, std::vector<AxisPart>* parts) {
    if (size == 1) return;
    parts->push_back({static_cast<int>(level), size, taken(level)});
    left_[level] /= size;
  }

  // "x 4, y 4": what is left of every level.
  std::string Left() const {
    std::string text;
    for (std::size_t l = 0; l < levels_.size(); ++l) {
      if (left_[l] > 1) {
        absl::StrAppend(&text, text.empty() ? "" : ", ", levels_[l].name, " ", left_[l]);
      }
    }
    return text.empty() ? "nothing" : text;
  }

  Status DoesNotFit(const AxisRequest& request, const std::set<std::int64_t>& fitting) const {
    std::string sizes;
    int listed = 0;
    for (const std::int64_t size : fitting) {
      if (++listed > 24) {
        absl::StrAppend(&sizes, ", ...");
        break;
      }
      absl::StrAppend(&sizes, sizes.empty() ? "" : ", ", size);
    }
    return InvalidInput(absl::StrCat("axis \"", request.name, "\" has size ", request.size,
                                     ", which does not fit what inner axes leave (", Left(),
                                     "); sizes that fit: ", sizes));
  }

  StatusOr<std::vector<AxisPart>> PlacePhysical(const AxisRequest& request) {
    std::vector<AxisPart> parts;
    int need = request.size;
    const std::vector<std::string> names = absl::StrSplit(request.physical, ',');
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto level = std::find_if(levels_.begin(), levels_.end(),
                                      [&](const Level& l) { return l.name == names[i]; });
      if (level == levels_.end()) return UnknownLevel(request, names[i]);
      const auto l = static_cast<std::size_t>(level - levels_.begin());
      const int left = left_[l];
      // All of it, or for the last one a part.
      const int size = i + 1 == names.size() ? need : left;
      if (need % size != 0 || left % size != 0) {
        return InvalidInput(absl::StrCat(
            "axis \"", request.name, "\" has size ", request.size, ", which its physical \"",
            request.physical, "\" does not hold: ", left, " of ", names[i], " is left for ", need));
      }
      Take(l, size, &parts);
      need /= size;
    }
    return parts;
  }

  Status UnknownLevel(const AxisRequest& request, const std::string& name) const {
    std::string known;
    for (const Level& level : levels_) {
      absl::StrAppend(&known, known.empty() ? "" : ", ", level.name);
    }
    return InvalidInput(absl::StrCat("axis \"", request.name, "\" has physical \"",
                                     request.physical, "\", but the fabric has no \"", name,
                                     "\"; expected some of ", known));
  }

  // Ranks fill the levels in order.
  StatusOr<std::vector<AxisPart>> PlaceInOrder(const AxisRequest& request) {
    std::vector<AxisPart> parts;
    const std::vector<int> before = left_;
    int need = request.size;
    for (std::size_t l = 0; l < levels_.size() && need > 1; ++l) {
      const int size = std::min(need, left_[l]);
      if (need % size != 0 || left_[l] % size != 0) break;
      Take(l, size, &parts);
      need /= size;
    }
    if (need == 1) return parts;
    left_ = before;
    std::set<std::int64_t> fitting;
    std::int64_t below = 1;
    for (const int left : left_) {
      for (int part = 1; part <= left; ++part) {
        if (left % part == 0) fitting.insert(below * part);
      }
      below *= left;
    }
    return DoesNotFit(request, fitting);
  }

  // `later`: the axes that will be placed after it.
  StatusOr<std::vector<AxisPart>> PlaceOnTorus(const AxisRequest& request,
                                               std::span<const int> later) {
    std::vector<AxisPart> parts;
    std::vector<int> stride;
    for (std::size_t l = 0; l < levels_.size(); ++l) stride.push_back(taken(l));
    const TorusSplit split(levels_, left_, stride);
    if (const auto sizes = split.Best(request.size, later)) {
      for (std::size_t l = 0; l < levels_.size(); ++l) Take(l, (*sizes)[l], &parts);
      return parts;
    }
    std::set<std::int64_t> fitting{1};
    for (const int left : left_) {
      std::set<std::int64_t> more;
      for (int part = 1; part <= left; ++part) {
        if (left % part != 0) continue;
        for (const std::int64_t size : fitting) more.insert(size * part);
      }
      fitting.swap(more);
    }
    return DoesNotFit(request, fitting);
  }

  const std::vector<Level>& levels_;
  std::vector<int> left_;  // r_l
  bool torus_ = false;
};

Status CheckRequests(const Fabric& fabric, std::span<const AxisRequest> requests) {
  std::int64_t product = 1;
  std::string sizes;
  std::set<std::string> names;
  for (const AxisRequest& request : requests) {
    if (request.size < 1) {
      return InvalidInput(absl::StrCat("axis \"", request.name, "\" has size ", request.size,
                                       ", expected at least 1"));
    }
    if (!names.insert(request.name).second) {
      return InvalidInput(absl::StrCat("axis \"", request.name, "\" is given twice"));
    }
    // Saturates, so that absurd sizes cannot wrap around to the right product.
    if (product <= fabric.devices()) product *= request.size;
    if (request.size > 1) {
      absl::StrAppend(&sizes, sizes.empty() ? "" : " x ", request.name, " ", request.size);
    }
  }
  if (product == fabric.devices()) return absl::OkStatus();
  return InvalidInput(
      absl::StrCat("the mesh (", sizes.empty() ? "all axes 1" : sizes, ") has ",
                   product > fabric.devices() ? "more than" : "only",
                   product > fabric.devices() ? "" : absl::StrCat(" ", product),
                   product > fabric.devices() ? " the cluster's " : " of the cluster's ",
                   fabric.devices(), " devices; the sizes must multiply to them"));
}

// The requests after `first` that are parts of the same axis, `first` included.
std::size_t PartsOfAxis(std::span<const AxisRequest> requests, std::size_t first) {
  std::size_t end = first + 1;
  while (end < requests.size() && !requests[first].part_of.empty() &&
         requests[end].part_of == requests[first].part_of) {
    ++end;
  }
  return end - first;
}

// Sizes of the axes from `first` on that have no place of their own.
std::vector<int> SizesFrom(std::span<const AxisRequest> requests, std::size_t first) {
  std::vector<int> sizes;
  for (std::size_t i = first; i < requests.size(); i += PartsOfAxis(requests, i)) {
    if (!requests[i].physical.empty()) continue;
    sizes.push_back(1);
    for (std::size_t p = i; p < i + PartsOfAxis(requests, i); ++p) {
      sizes.back() *= requests[p].size;
    }
  }
  return sizes;
}

// What an axis given in parts has left of the place of the whole axis.
class PartPlacer {
 public:
  PartPlacer(const Fabric& fabric, std::string whole, std::vector<AxisPart> left)
      : levels_(fabric.levels()), whole_(std::move(whole)), left_(std::move(left)) {}

  // Takes `axis->size` ranks before parts of the sizes `later`: innermost first, but on a twisted
  // torus, whose short dimensions are lines, and where those do not divide, as an axis of its own.
  Status Take(std::span<const int> later, MeshAxis* axis) {
    std::vector<int> left(levels_.size(), 1), stride(levels_.size(), 1);
    bool torus = false, twisted = false, once = true;
    for (const AxisPart& part : left_) {
      const auto l = static_cast<std::size_t>(part.level);
      torus = torus || levels_[l].kind == Level::Kind::kTorus;
      twisted = twisted || levels_[l].twist > 0;
      once = once && left[l] == 1;
      left[l] = part.size;
      stride[l] = part.stride;
    }
    if (!torus || !once || axis->size == 1) return TakeInner(axis);
    PartPlacer digits = *this;
    MeshAxis inner = *axis;
    if (!twisted && digits.TakeInner(&inner).ok()) {
      left_ = std::move(digits.left_);
      *axis = std::move(inner);
      return absl::OkStatus();
    }
    const auto sizes = TorusSplit(levels_, left, stride).Best(axis->size, later);
    if (!sizes) return TakeInner(axis);
    for (AxisPart& part : left_)
      TakeOf((*sizes)[static_cast<std::size_t>(part.level)], &part, axis);
    std::erase_if(left_, [](const AxisPart& part) { return part.size == 1; });
    return absl::OkStatus();
  }

 private:
  static void TakeOf(int size, AxisPart* part, MeshAxis* axis) {
    if (size == 1) return;
    axis->parts.push_back({part->level, size, part->stride});
    part->stride *= size;
    part->size /= size;
  }

  Status TakeInner(MeshAxis* axis) {
    int need = axis->size;
    while (need > 1) {
      AxisPart& part = left_.front();
      const int size = std::gcd(need, part.size);
      if (size == 1 || (size < part.size && size < need)) {
        return InvalidInput(absl::StrCat("axis \"", whole_, "\" cannot be divided into ",
                                         axis->name, " of ", axis->size,
                                         ": it is placed on parts of ", part.size, ", which ", need,
                                         " neither divides nor is a multiple of"));
      }
      TakeOf(size, &part, axis);
      need /= size;
      if (part.size == 1) left_.erase(left_.begin());
    }
    return absl::OkStatus();
  }

  const std::vector<Level>& levels_;
  const std::string whole_;
  std::vector<AxisPart> left_;  // innermost first
};

}  // namespace

StatusOr<std::vector<MeshAxis>> PlaceAxes(const Fabric& fabric,
                                          std::span<const AxisRequest> requests) {
  RETURN_IF_ERROR(CheckRequests(fabric, requests));
  Placer placer(fabric);
  std::vector<MeshAxis> axes(requests.size());
  for (const bool physical : {true, false}) {
    for (std::size_t i = 0; i < requests.size(); i += PartsOfAxis(requests, i)) {
      if (requests[i].physical.empty() == physical) continue;
      const std::size_t end = i + PartsOfAxis(requests, i);
      AxisRequest whole = requests[i];
      if (!whole.part_of.empty()) whole.name = whole.part_of;
      for (std::size_t part = i + 1; part < end; ++part) whole.size *= requests[part].size;
      ASSIGN_OR_RETURN(std::vector<AxisPart> left, placer.Place(whole, SizesFrom(requests, end)));
      if (end == i + 1) {
        axes[i] = {requests[i].name, requests[i].size, std::move(left)};
        continue;
      }
      PartPlacer parts(fabric, whole.name, std::move(left));
      std::vector<int> sizes;
      for (std::size_t part = i; part < end; ++part) sizes.push_back(requests[part].size);
      for (std::size_t part = i; part < end; ++part) {
        axes[part] = {requests[part].name, requests[part].size, {}};
        RETURN_IF_ERROR(parts.Take(std::span(sizes).subspan(part - i + 1), &axes[part]));
      }
    }
  }
  return axes;
}

}  // namespace meshstep
