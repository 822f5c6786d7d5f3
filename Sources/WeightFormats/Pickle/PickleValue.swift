import Tensors

/// A value of a pickle. Containers stand in the heap and are named by their place, so that values can be shared, and even
/// contain themselves, as in Python, and yet own nothing: no depth of nesting and no cycle costs stack or memory.
enum PickleValue: Equatable {
  case none
  case bool(Bool)
  case integer(Int)
  case float(Double)
  case text(String)
  /// A string of bytes, and how many.
  case bytes(count: Int)
  case tuple(Int)
  case list(Int)
  case dictionary(Int)
  case global(PickleGlobal)
  case storage(Int)
  case tensor(Int)
  /// What a class or function made that is no part of weights: it holds what it was given, and does nothing.
  case object(Int)
  /// Something that weights do not need and that is harmless, by what it is: a set, a wide integer.
  case inert(String)

  /// Whether it holds no other value.
  var isScalar: Bool {
    switch self {
    case .none, .bool, .integer, .float, .text, .bytes, .global, .storage, .inert: true
    case .tuple, .list, .dictionary, .tensor, .object: false
    }
  }
}

/// Where everything that a pickle builds is kept.
struct PickleHeap {
  private(set) var tuples: [[PickleValue]] = []
  private(set) var lists: [[PickleValue]] = []
  private(set) var dictionaries: [[(key: PickleValue, value: PickleValue)]] = []
  private(set) var storages: [PickleStorage] = []
  private(set) var tensors: [PickleTensor] = []
  private(set) var objects: [PickleObject] = []
  /// Of all containers.
  private(set) var itemCount = 0
  /// Every function and class that the pickle names, once, in the order of their first mention.
  private(set) var globals: [(name: String, global: PickleGlobal)] = []
  private var seenGlobals: Set<String> = []

  var containerCount: Int {
    tuples.count + lists.count + dictionaries.count + storages.count + tensors.count + objects.count
  }

  mutating func note(_ global: PickleGlobal, named name: String) {
    if seenGlobals.insert(name).inserted { globals.append((name, global)) }
  }

  /// Throws where a function or class that harms is named.
  func refuseDangerousGlobals() throws(WeightFault) {
    if let (name, _) = globals.first(where: { $0.global.trust == .dangerous }) {
      throw .pickle(.dangerousGlobal(name))
    }
  }

  /// Adds the globals of another pickle.
  mutating func note(_ others: [(name: String, global: PickleGlobal)]) {
    for (name, global) in others { note(global, named: name) }
  }

  func isTuple(_ value: PickleValue) -> Bool {
    if case .tuple = value { true } else { false }
  }

  mutating func object(_ object: PickleObject) -> PickleValue {
    objects.append(object)
    return .object(objects.count - 1)
  }

  mutating func tuple(_ values: [PickleValue]) -> PickleValue {
    itemCount += values.count
    tuples.append(values)
    return .tuple(tuples.count - 1)
  }

  mutating func list(_ values: [PickleValue] = []) -> PickleValue {
    itemCount += values.count
    lists.append(values)
    return .list(lists.count - 1)
  }

  mutating func dictionary() -> PickleValue {
    dictionaries.append([])
    return .dictionary(dictionaries.count - 1)
  }

  mutating func append(_ values: [PickleValue], toList place: Int) {
    itemCount += values.count
    lists[place] += values
  }

  mutating func append(_ values: [PickleValue], toObject place: Int) {
    itemCount += values.count
    objects[place].items += values
  }

  /// `items`: keys and values in turn.
  mutating func set(_ items: [PickleValue], inDictionary place: Int) {
    itemCount += items.count
    for index in stride(from: 0, to: items.count, by: 2) {
      dictionaries[place].append((items[index], items[index + 1]))
    }
  }

  mutating func setState(_ state: PickleValue, ofObject place: Int) { objects[place].state = state }

  mutating func storage(_ storage: PickleStorage) -> PickleValue {
    storages.append(storage)
    return .storage(storages.count - 1)
  }

  mutating func tensor(_ tensor: PickleTensor) -> PickleValue {
    tensors.append(tensor)
    return .tensor(tensors.count - 1)
  }
}

/// What stands for an instance of a class, or for the result of a function, that nothing here runs.
struct PickleObject: Equatable {
  /// `torch.nn.modules.conv.Conv2d`
  var className: String
  var trust: PickleGlobal.Trust
  var arguments: PickleValue
  /// What BUILD gave it: of a module, the dictionary of its attributes.
  var state = PickleValue.none
  /// What was appended or set, keys and values in turn.
  var items: [PickleValue] = []
}

/// A block of bytes outside of the pickle, by its key, or a part of one.
struct PickleStorage: Equatable {
  var key: String
  /// Nil for an untyped one: `count` are bytes then.
  var elementType: ElementType?
  /// Elements of the whole block.
  var blockCount: Int
  /// The elements of the block that are this storage: all, but in streams of before PyTorch 0.4.
  var range: Range<Int>

  init(key: String, elementType: ElementType?, count: Int) {
    self.key = key
    self.elementType = elementType
    blockCount = count
    range = 0..<count
  }

  var elementSize: Int { elementType?.size ?? 1 }
  var count: Int { range.count }
  var byteCount: Int { range.count * elementSize }
  /// Bytes of the whole block.
  var blockByteCount: Int { blockCount * elementSize }
}

/// A view of a storage.
///
/// Invariant: every element that shape, strides and offset reach lies within the storage, and there are not more elements
/// than the storage has.
struct PickleTensor: Equatable {
  var storage: PickleStorage
  var elementType: ElementType
  var shape: Shape
  /// In elements; like `offset`.
  var strides: [Int]
  var offset: Int

  /// The view, where its numbers keep the invariant.
  init?(storage: PickleStorage, elementType: ElementType, extents: [Int], strides: [Int], offset: Int) {
    guard extents.count == strides.count, offset >= 0, strides.allSatisfy({ $0 >= 0 }),
      let shape = Shape(checking: extents)
    else { return nil }
    let capacity = storage.byteCount / elementType.size
    guard shape.count <= capacity else { return nil }
    if shape.count > 0 {
      var last = offset
      for (extent, stride) in zip(extents, strides) {
        let (reach, overflow) = stride.multipliedReportingOverflow(by: extent - 1)
        let (sum, carried) = last.addingReportingOverflow(reach)
        guard !overflow, !carried else { return nil }
        last = sum
      }
      guard last < capacity else { return nil }
    }
    self.storage = storage
    self.elementType = elementType
    self.shape = shape
    self.strides = strides
    self.offset = offset
  }
}
