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
  /// Something that weights do not need and that is harmless, by what made it: a set, a NumPy scalar, a wide integer.
  case inert(String)
}

/// Where everything that a pickle builds is kept.
struct PickleHeap {
  private(set) var tuples: [[PickleValue]] = []
  var lists: [[PickleValue]] = []
  var dictionaries: [[(key: PickleValue, value: PickleValue)]] = []
  private(set) var storages: [PickleStorage] = []
  private(set) var tensors: [PickleTensor] = []

  mutating func tuple(_ values: [PickleValue]) -> PickleValue {
    tuples.append(values)
    return .tuple(tuples.count - 1)
  }

  mutating func list(_ values: [PickleValue] = []) -> PickleValue {
    lists.append(values)
    return .list(lists.count - 1)
  }

  mutating func dictionary() -> PickleValue {
    dictionaries.append([])
    return .dictionary(dictionaries.count - 1)
  }

  mutating func storage(_ storage: PickleStorage) -> PickleValue {
    storages.append(storage)
    return .storage(storages.count - 1)
  }

  mutating func tensor(_ tensor: PickleTensor) -> PickleValue {
    tensors.append(tensor)
    return .tensor(tensors.count - 1)
  }
}

/// A block of bytes outside of the pickle, by its key.
struct PickleStorage: Equatable {
  var key: String
  /// Nil for an untyped one: `count` are bytes then.
  var elementType: ElementType?
  var count: Int

  var byteCount: Int { count * (elementType?.size ?? 1) }
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
