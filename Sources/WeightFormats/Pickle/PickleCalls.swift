import Tensors

/// What the functions and classes of `PickleGlobal` make, and nothing else.
extension PickleInterpreter {
  /// The value of `function(*arguments)`.
  mutating func call(_ function: PickleValue, _ arguments: PickleValue) throws(WeightFault) -> PickleValue {
    guard case .global(let global) = function else { throw wrongOperand("something that is no function is called") }
    guard case .tuple(let place) = arguments else { throw wrongOperand("the arguments of a call are no tuple") }
    let values = heap.tuples[place]
    switch global {
    case .orderedDictionary: return try orderedDictionary(values)
    case .rebuildTensor(let version): return try rebuildTensor(version, values)
    // PyTorch before 0.4 made a parameter by calling its class.
    case .rebuildParameter, .tensorClass:
      guard let value = values.first, case .tensor = value else {
        throw .pickle(.malformedTensor(reason: "a parameter without a tensor"))
      }
      return value
    case .rebuildFromType:
      guard values.count == 4, case .global(.rebuildTensor) = values[0], values[1] == .global(.tensorClass) else {
        throw .pickle(.malformedTensor(reason: "a tensor of an unknown class"))
      }
      return try call(values[0], values[2])
    case .size:
      guard values.count == 1, case .tuple = values[0] else { throw wrongOperand("a size is no tuple") }
      return values[0]
    case .reconstructor:
      guard values.count == 3, case .global(.foreign(let name, let trust)) = values[0] else {
        throw wrongOperand("an object of no known kind is made")
      }
      return heap.object(PickleObject(className: name, trust: trust, arguments: .none))
    case .foreign(let name, let trust):
      return heap.object(PickleObject(className: name, trust: trust, arguments: arguments))
    case .storage, .untypedStorage, .elementType, .unsupportedElements:
      throw wrongOperand("a class that is not called in weights is called")
    }
  }

  /// `OrderedDict()`, or with one list of pairs, as Python 2 wrote it.
  private mutating func orderedDictionary(_ arguments: [PickleValue]) throws(WeightFault) -> PickleValue {
    let dictionary = heap.dictionary()
    guard let pairs = arguments.first else { return dictionary }
    guard arguments.count == 1, case .list(let place) = pairs else {
      throw wrongOperand("an OrderedDict is made of something that is no list of pairs")
    }
    for pair in heap.lists[place] {
      guard let items = sequence(pair), items.count == 2 else {
        throw wrongOperand("an OrderedDict is made of something that is no list of pairs")
      }
      try set(items, in: dictionary)
    }
    return dictionary
  }

  /// BUILD: an object is given its state. Only what has none that matters takes one.
  mutating func build(_ target: PickleValue, _ state: PickleValue) throws(WeightFault) {
    switch target {
    // The `_metadata` of a state_dict: version numbers of modules.
    case .dictionary, .inert: return
    case .object(let place): heap.setState(state, ofObject: place)
    // PyTorch before 0.4: whether gradients are taken, and hooks.
    case .tensor where heap.isTuple(state): return
    case .none, .bool, .integer, .float, .text, .bytes, .tuple, .list, .global, .storage, .tensor:
      throw wrongOperand("state is given to a value that has none")
    }
  }

  /// A persistent id: `('storage', class, key, location, elements)`, in streams with a view of the storage behind, or there
  /// `('module', class, file, source)`, which stands for the class. The location, a device, does not matter.
  mutating func persistent(_ id: PickleValue) throws(WeightFault) -> PickleValue {
    func malformed(_ reason: String) -> WeightFault { .pickle(.malformedStorage(reason: reason)) }
    guard case .tuple(let place) = id else { throw malformed("a persistent id is no tuple") }
    let id = heap.tuples[place]
    if id.count == 4, id[0] == .text("module"), case .global = id[1] { return id[1] }
    guard (5...6).contains(id.count), id[0] == .text("storage"), case .text(let key) = id[2],
      case .integer(let count) = id[4], count >= 0
    else { throw malformed("expected ('storage', class, key, location, elements)") }
    let elementType: ElementType?
    switch id[1] {
    case .global(.storage(let type)): elementType = type
    case .global(.untypedStorage): elementType = nil
    case .global(.unsupportedElements(let name)): throw .pickle(.unsupportedElements(name))
    default: throw malformed("its class is no storage")
    }
    guard !count.multipliedReportingOverflow(by: elementType?.size ?? 1).overflow else {
      throw malformed("\(count) elements do not fit in 64 bits")
    }
    var storage = PickleStorage(key: key, elementType: elementType, count: count)
    if id.count == 6, id[5] != .none {
      // (key of the view, offset, elements)
      guard let view = sequence(id[5]), view.count == 3, case .integer(let offset) = view[1],
        case .integer(let elements) = view[2], (0...count).contains(offset), (0...count - offset).contains(elements)
      else { throw malformed("its view lies outside of it") }
      storage.range = offset..<offset + elements
    }
    return heap.storage(storage)
  }

  private mutating func rebuildTensor(_ version: Int, _ arguments: [PickleValue]) throws(WeightFault) -> PickleValue {
    func malformed(_ reason: String) -> WeightFault { .pickle(.malformedTensor(reason: reason)) }
    let counts = [1: 4...4, 2: 6...7, 3: 7...8]
    guard counts[version]?.contains(arguments.count) == true, case .storage(let place) = arguments[0],
      case .integer(let offset) = arguments[1], let extents = integers(arguments[2]),
      let strides = integers(arguments[3])
    else { throw malformed("expected a storage, an offset, a size and strides") }
    let storage = heap.storages[place]
    let type: ElementType
    if version == 3 {
      guard case .global(let global) = arguments[6] else { throw malformed("its element type is none") }
      if case .unsupportedElements(let name) = global { throw .pickle(.unsupportedElements(name)) }
      guard case .elementType(let named) = global, storage.elementType == nil else {
        throw malformed("its element type is none")
      }
      type = named
    } else {
      guard let typed = storage.elementType else { throw malformed("its storage has no element type") }
      type = typed
    }
    // Metadata say whether the tensor is a view that conjugates or negates.
    let metadata = arguments.count == (version == 3 ? 8 : 7) ? arguments.last : nil
    if case .dictionary(let place) = metadata, !heap.dictionaries[place].allSatisfy({ $0.value == .bool(false) }) {
      throw malformed("it is a conjugated or negated view")
    }
    guard
      let tensor = PickleTensor(
        storage: storage, elementType: type, extents: extents, strides: strides, offset: offset)
    else {
      throw malformed(
        "size \(extents), strides \(strides) and offset \(offset) reach beyond its storage of \(storage.count) elements"
      )
    }
    return heap.tensor(tensor)
  }

  /// The members of a tuple or list.
  private func sequence(_ value: PickleValue) -> [PickleValue]? {
    switch value {
    case .tuple(let place): heap.tuples[place]
    case .list(let place): heap.lists[place]
    case .none, .bool, .integer, .float, .text, .bytes, .dictionary, .global, .storage, .tensor, .object, .inert: nil
    }
  }

  private func integers(_ value: PickleValue) -> [Int]? {
    guard let values = sequence(value), values.count <= 16 else { return nil }
    var integers: [Int] = []
    for value in values {
      guard case .integer(let integer) = value else { return nil }
      integers.append(integer)
    }
    return integers
  }
}
