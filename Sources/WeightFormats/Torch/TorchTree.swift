/// Walks what a pickle built, and names each tensor by the keys on the way to it, joined by dots.
///
/// Of a module (an object whose state has `_modules`, `_parameters` and `_buffers`, as `torch.nn.Module` keeps them) the tensors
/// get the names that its `state_dict()` would give them; its other attributes are left alone.
struct TorchTree {
  struct Leaf {
    var name: String
    var tensor: PickleTensor
    /// The class or function, none of the known ones, that the tensor is reached through.
    var unknownGlobal: String?
  }

  private static let valueLimit = 200_000
  private static let depthLimit = 64
  /// Bytes of all names of tensors, and of the texts beside them: a key may be long, and be part of many names.
  private static let textLimit = 16 << 20

  let heap: PickleHeap
  private(set) var leaves: [Leaf] = []
  /// Numbers and texts that stand beside a state_dict: `epoch`, `best_loss`.
  private(set) var scalars: [(key: String, value: String)] = []
  private var visited = 0
  private var textBytes = 0
  /// The containers that are being walked: one that contains itself is not entered again.
  private var entered: Set<Container> = []

  private enum Container: Hashable {
    case tuple(Int), list(Int), dictionary(Int), object(Int)
  }

  /// Where a value was found.
  private struct Place {
    var path: [String] = []
    var unknownGlobal: String?

    func inside(_ key: String) -> Place { Place(path: path + [key], unknownGlobal: unknownGlobal) }
  }

  init(_ value: PickleValue, heap: PickleHeap) throws(WeightFault) {
    self.heap = heap
    try collect(value, Place())
  }

  private mutating func collect(_ value: PickleValue, _ place: Place) throws(WeightFault) {
    // A container costs what several numbers do.
    try visit(value.isScalar ? 1 : 4, place)
    switch value {
    case .tensor(let index):
      let name = place.path.isEmpty ? "tensor" : place.path.joined(separator: ".")
      try countText(name)
      leaves.append(Leaf(name: name, tensor: heap.tensors[index], unknownGlobal: place.unknownGlobal))
    case .dictionary(let index):
      try enter(.dictionary(index)) { tree throws(WeightFault) in
        for (key, value) in tree.heap.dictionaries[index] { try tree.collect(value, place.inside(Self.name(of: key))) }
      }
    case .list(let index):
      try enter(.list(index)) { tree throws(WeightFault) in try tree.collect(tree.heap.lists[index], place) }
    case .tuple(let index):
      try enter(.tuple(index)) { tree throws(WeightFault) in try tree.collect(tree.heap.tuples[index], place) }
    case .object(let index):
      try enter(.object(index)) { tree throws(WeightFault) in try tree.collect(tree.heap.objects[index], place) }
    case .bool(let value): try note(String(value), place)
    case .integer(let value): try note(String(value), place)
    case .float(let value): try note(String(value), place)
    case .text(let value): try note(value, place)
    case .none, .bytes, .global, .storage, .inert: break
    }
  }

  private mutating func enter(
    _ container: Container, _ body: (inout TorchTree) throws(WeightFault) -> Void
  ) throws(WeightFault) {
    guard entered.insert(container).inserted else { return }
    try body(&self)
    entered.remove(container)
  }

  private mutating func collect(_ values: [PickleValue], _ place: Place) throws(WeightFault) {
    for (index, value) in values.enumerated() {
      // A list of numbers, say every step's loss, has no names worth making.
      if value.isScalar, !place.path.isEmpty {
        try visit(1, place)
      } else {
        try collect(value, place.inside(String(index)))
      }
    }
  }

  private mutating func collect(_ object: PickleObject, _ place: Place) throws(WeightFault) {
    var place = place
    switch object.trust {
    case .harmless, .module: break
    case .unknown, .dangerous: place.unknownGlobal = place.unknownGlobal ?? object.className
    }
    if let attributes = try attributes(of: object, place), let modules = attributes["_modules"],
      attributes["_parameters"] != nil
    {
      for members in [attributes["_parameters"], attributes["_buffers"], modules] {
        if let members { try collect(members, place) }
      }
      return
    }
    try collect(object.arguments, place)
    try collect(object.state, place)
    try collect(object.items, place)
  }

  /// The attributes of an object, by name, where its state is a dictionary, or a pair of one and a dictionary of slots.
  private mutating func attributes(
    of object: PickleObject, _ place: Place
  ) throws(WeightFault) -> [String: PickleValue]? {
    let state: PickleValue
    if case .tuple(let index) = object.state, let first = heap.tuples[index].first {
      state = first
    } else {
      state = object.state
    }
    guard case .dictionary(let index) = state else { return nil }
    try visit(heap.dictionaries[index].count, place)
    return Dictionary(heap.dictionaries[index].map { (Self.name(of: $0.key), $0.value) }) { _, last in last }
  }

  private mutating func note(_ value: String, _ place: Place) throws(WeightFault) {
    guard place.path.count == 1 else { return }
    try countText(value)
    scalars.append((place.path[0], value))
  }

  private mutating func visit(_ count: Int, _ place: Place) throws(WeightFault) {
    visited += count
    guard visited <= Self.valueLimit, place.path.count <= Self.depthLimit else {
      throw .torch(.tooManyValues(limit: Self.valueLimit))
    }
  }

  private mutating func countText(_ text: String) throws(WeightFault) {
    textBytes += text.utf8.count
    guard textBytes <= Self.textLimit else { throw .torch(.tooMuchText(limit: Self.textLimit)) }
  }

  private static func name(of key: PickleValue) -> String {
    switch key {
    case .text(let text): text
    case .integer(let value): String(value)
    case .none, .bool, .float, .bytes, .tuple, .list, .dictionary, .global, .storage, .tensor, .object, .inert: "?"
    }
  }
}
