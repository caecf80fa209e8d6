"""The cluster of a measured run: a preset and what interconnects.csv says of its chip and network."""

import os
import re

from run_row import NotExpressed, number_in, read_table

INTERCONNECTS = read_table('interconnects.csv')
CLUSTERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'topologies',
                        'clusters')


def _entry(row):
    """The first entry for the row's chip whose words are in the row's interconnect."""
    for entry in INTERCONNECTS:
        if row.get('chip').startswith(entry['chip']) and row.says('interconnect', entry['words']):
            return entry
    raise NotExpressed('the cluster of "%s" is not described' % row.get('chip'))


def _takes_whole_dimensions(slice_, degrees, dim=0):
    """Whether every degree of the mesh is a product of whole dimensions of the torus."""
    while dim < len(slice_) and slice_[dim] == 1:
        dim += 1
    if dim == len(slice_):
        return all(left == 1 for left in degrees)
    for i, degree in enumerate(degrees):
        if degree % slice_[dim] == 0:
            left = degrees[:i] + [degree // slice_[dim]] + degrees[i + 1:]
            if _takes_whole_dimensions(slice_, left, dim + 1):
                return True
    return False


def _slices(chips, dimensions):
    """Slices of `chips`, small sides first. On a torus of three dimensions, of 4x4x4 cubes where
    the chips fill cubes."""
    slices = []
    unit = 4 if dimensions == 3 and chips % 64 == 0 else 1
    most = chips if dimensions == 3 else 1
    a = unit
    while a <= most and a ** 3 <= max(chips, 1):
        b = a
        while a * b * b <= chips:
            if chips % (a * b) == 0 and chips // (a * b) % unit == 0:
                slices.append((a, b, chips // (a * b)))
            b += unit
        a += unit
    return slices or [(1, 1, chips)]


def slice_of(chips, dimensions, degrees):
    """As near to a square or a cube as its chips and the mesh allow: JAX gives each axis of a mesh
    whole dimensions of the torus and refuses a mesh that has none for it, so users choose the slice
    by the mesh (jax/experimental/mesh_utils.py, create_device_mesh without
    allow_split_physical_axes). MLPerf's v5p slices of 1024, 2048 and 6144 chips are 8x8x16, 4x8x64
    and 8x16x48 for meshes of 8 x 16 x 8, 4 x 64 x 8 and 16 x 48 x 8
    (mlcommons/training_results_v4.0 and v4.1, Google/systems)."""
    best = min(_slices(chips, dimensions),
               key=lambda s: (not _takes_whole_dimensions(s, degrees), s[2], -s[0]))
    return 'x'.join(str(side) for side in (best[1:] if dimensions == 2 else best))


def _chips_per_domain(row, chips, domain):
    """Racks of up to `domain` chips on one switch, equally filled, by whole groups of tensor and
    context parallelism and by a number of replicas that divides all."""
    inner = row.count('tp', 1) * row.count('cp', 1)
    replicas = row.count('dp', max(1, chips // inner))
    for per in range(min(chips, domain), 1, -1):
        if chips % per != 0 or (per % inner != 0 and inner % per != 0):
            continue
        outer = max(1, per // inner)
        if replicas % outer == 0 or outer % replicas == 0:
            return per
    return 1


def _preset(name, field):
    """A number of the cluster's file."""
    with open(os.path.join(CLUSTERS, name + '.textproto'), encoding='utf-8') as file:
        match = re.search(r'^\s*%s: ([0-9.e+]+)' % field, file.read(), re.M)
    return float(match[1]) if match else None


def _set_nodes(row, entry, chips, fields):
    domain = int(entry['chips_per_node'] or row.count('chips_per_node', 8))
    per_node = _chips_per_domain(row, chips, domain)
    nics = int(entry['nics_per_node'] or 0)
    nodes = {'chips_per_node': per_node, 'nics_per_node': min(nics, per_node) if nics else per_node}
    for field in ('nic_gbytes_per_s', 'nic_latency_ns', 'nic_usable_fraction'):
        if entry[field]:
            nodes[field] = float(entry[field])
    for field, value in nodes.items():
        if value != _preset(entry['cluster'], field):
            fields['cluster.nodes.' + field] = value


def _number_of_slices(row):
    """Equal slices that the row's chips are in; 1 for anything but TPUs."""
    if not row.get('chip').startswith('TPU'):
        return 1
    text = row.get('dp_sharding')
    slices = number_in(text, 'dcn data(?:-parallel)?=([0-9]+)')
    if not slices:
        size = number_in(text, 'slices of ([0-9]+)')
        slices = row.count('chips', 1) // size if size else 1
    return max(1, slices)


def set_cluster(row, fields):
    chips = row.count('chips')
    if chips == 0:
        raise NotExpressed('the number of chips is not given')
    entry = _entry(row)
    fields['cluster.preset'] = entry['cluster']
    if entry['preset']:
        fields['cluster.chip.preset'] = entry['preset']
    dimensions = int(entry['dimensions'] or 0)
    if dimensions == 0:
        fields['cluster.chips'] = chips
        _set_nodes(row, entry, chips, fields)
        return
    slices = _number_of_slices(row)
    if chips % slices != 0:
        raise NotExpressed('%d chips do not fill %d slices' % (chips, slices))
    fields['cluster.slice'] = slice_of(chips // slices, dimensions, [])
    if slices > 1:
        fields['cluster.slices'] = slices


def shape_slice(fields):
    """Of all slices of as many chips, the one that suits the plan's mesh."""
    if 'cluster.slice' not in fields:
        return
    extents = [int(side) for side in fields['cluster.slice'].split('x')]
    slices, data = fields.get('cluster.slices', 1), fields.get('plan.data', 1)
    if data % slices != 0:
        return
    chips = 1
    for extent in extents:
        chips *= extent
    degrees = [fields.get('plan.tensor', 1), fields.get('plan.context', 1),
               fields.get('plan.fsdp', 1), max(1, data // slices)]
    fields['cluster.slice'] = slice_of(chips, len(extents), degrees)
