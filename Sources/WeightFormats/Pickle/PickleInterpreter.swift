/// A closed, inert machine for the pickles that hold weights (Python's `pickletools` describes the operations).
///
/// Nothing is executed: names of functions and classes are looked up in `PickleGlobal`'s table, and "calling" one builds a
/// value of ours or fails; what is not in the table becomes an inert object, and is listed. The operations, the memo, the
/// stack, the containers and the texts are bounded, and values own nothing, so a hostile pickle can cost neither stack nor
/// more than some megabytes beyond its size.
struct PickleInterpreter {
  static let operationLimit = 2_000_000
  static let stackLimit = 200_000
  static let memoLimit = 300_000
  static let containerLimit = 300_000
  /// Items of all containers. A call can copy a list, so they are not bounded by the operations.
  static let itemLimit = 500_000
  static let globalLimit = 1_000
  /// Bytes of one text or string of bytes: the source text of a module's class is the longest in use.
  static let textLimit = 4 << 20
  static let lineLimit = 4096

  var heap = PickleHeap()
  private var input: PickleInput
  private var stack: [PickleValue] = []
  /// The heights of the stack at which marks stand.
  private var marks: [Int] = []
  private var memo: [Int: PickleValue] = [:]
  /// Where the operation under way begins.
  private(set) var place = 0

  private init(_ input: PickleInput) { self.input = input }

  /// The value that the pickle builds, which must fill `bytes`, and the heap that its parts stand in.
  static func run(_ bytes: [UInt8]) throws(WeightFault) -> (value: PickleValue, heap: PickleHeap) {
    let result = try run(PickleInput(bytes))
    guard result.end == bytes.count else { throw .pickle(.trailingBytes(offset: result.end)) }
    return (result.value, result.heap)
  }

  /// The value that the pickle at the front of `input` builds, and where it ends.
  static func run(_ input: PickleInput) throws(WeightFault) -> (value: PickleValue, heap: PickleHeap, end: Int) {
    var machine = PickleInterpreter(input)
    do throws(WeightFault) {
      let value = try machine.run()
      return (value, machine.heap, machine.input.offset)
    } catch {
      // A pickle that asks for something that harms is unsafe, however malformed it is besides.
      try machine.heap.refuseDangerousGlobals()
      throw error
    }
  }

  private mutating func run() throws(WeightFault) -> PickleValue {
    for _ in 0..<Self.operationLimit {
      if let value = try step() { return value }
      guard heap.containerCount <= Self.containerLimit else {
        throw .pickle(.limit(what: "containers", limit: Self.containerLimit))
      }
      guard heap.itemCount <= Self.itemLimit else {
        throw .pickle(.limit(what: "items in containers", limit: Self.itemLimit))
      }
    }
    throw .pickle(.limit(what: "operations", limit: Self.operationLimit))
  }

  func wrongOperand(_ reason: String) -> WeightFault { .pickle(.wrongOperand(offset: place, reason: reason)) }

  // MARK: - Operations

  /// Runs one operation; the pickle's value at its end.
  private mutating func step() throws(WeightFault) -> PickleValue? {
    place = input.offset
    let code: UInt8 = try integer()
    switch code {
    case 0x80:  // PROTO
      let version: UInt8 = try integer()
      guard (2...5).contains(version) else { throw .pickle(.unsupportedProtocol(Int(version))) }
    case 0x95: _ = try integer(UInt64.self)  // FRAME: only a hint for buffering
    case UInt8(ascii: "."): return try pop()

    case UInt8(ascii: "N"): try push(.none)
    case 0x88: try push(.bool(true))
    case 0x89: try push(.bool(false))
    case UInt8(ascii: "J"): try push(.integer(Int(try integer(Int32.self))))
    case UInt8(ascii: "K"): try push(.integer(Int(try integer(UInt8.self))))
    case UInt8(ascii: "M"): try push(.integer(Int(try integer(UInt16.self))))
    case 0x8A: try pushWide(Int(try integer(UInt8.self)))  // LONG1
    case 0x8B: try pushWide(Int(try integer(Int32.self)))  // LONG4
    case UInt8(ascii: "I"), UInt8(ascii: "L"): try pushDecimal(try input.line(limit: Self.lineLimit))
    case UInt8(ascii: "G"): try push(.float(Double(bitPattern: try integer(UInt64.self).byteSwapped)))

    case UInt8(ascii: "X"): try push(.text(try text(Int(try integer(UInt32.self)))))
    case 0x8C: try push(.text(try text(Int(try integer(UInt8.self)))))  // SHORT_BINUNICODE
    case 0x8D: try push(.text(try text(try length())))  // BINUNICODE8
    case UInt8(ascii: "U"): try pushString(Int(try integer(UInt8.self)))
    case UInt8(ascii: "T"): try pushString(Int(try integer(Int32.self)))
    case UInt8(ascii: "C"): try pushBytes(Int(try integer(UInt8.self)))
    case UInt8(ascii: "B"): try pushBytes(Int(try integer(UInt32.self)))
    case 0x8E, 0x96: try pushBytes(try length())  // BINBYTES8, BYTEARRAY8

    case UInt8(ascii: "}"): try push(heap.dictionary())
    case UInt8(ascii: "]"): try push(heap.list())
    case UInt8(ascii: ")"): try push(heap.tuple([]))
    case 0x8F: try push(.inert("set"))  // EMPTY_SET
    case UInt8(ascii: "("): try mark()
    case UInt8(ascii: "t"): try push(heap.tuple(try popToMark()))
    case 0x85: try push(heap.tuple(try pop(1)))
    case 0x86: try push(heap.tuple(try pop(2)))
    case 0x87: try push(heap.tuple(try pop(3)))
    case UInt8(ascii: "l"): try push(heap.list(try popToMark()))
    case UInt8(ascii: "d"):
      let items = try popToMark()
      let dictionary = heap.dictionary()
      try set(items, in: dictionary)
      try push(dictionary)
    case 0x91:  // FROZENSET
      _ = try popToMark()
      try push(.inert("frozenset"))
    case 0x90:  // ADDITEMS
      _ = try popToMark()
      switch try top() {
      case .inert, .object: break
      default: throw wrongOperand("items are added to something that is no set")
      }
    case UInt8(ascii: "a"): try append(try pop(1))
    case UInt8(ascii: "e"): try append(try popToMark())
    case UInt8(ascii: "s"): try set(try pop(2), in: try top())
    case UInt8(ascii: "u"): try set(try popToMark(), in: try top())

    case UInt8(ascii: "0"): _ = try pop()
    case UInt8(ascii: "1"): _ = try popToMark()
    case UInt8(ascii: "2"): try push(try top())
    case UInt8(ascii: "q"): try remember(Int(try integer(UInt8.self)))
    case UInt8(ascii: "r"): try remember(Int(try integer(UInt32.self)))
    case 0x94: try remember(memo.count)  // MEMOIZE
    case UInt8(ascii: "h"): try recall(Int(try integer(UInt8.self)))
    case UInt8(ascii: "j"): try recall(Int(try integer(UInt32.self)))

    case UInt8(ascii: "c"):
      let module = try input.line(limit: Self.lineLimit)
      try pushGlobal(module, try input.line(limit: Self.lineLimit))
    case UInt8(ascii: "i"):  // INST, which calls what it names: not done, but said
      let module = try input.line(limit: Self.lineLimit)
      try pushGlobal(module, try input.line(limit: Self.lineLimit))
      throw .pickle(.unsupportedOpcode(code, offset: place))
    case 0x93:  // STACK_GLOBAL
      guard case .text(let name) = try pop(), case .text(let module) = try pop() else {
        throw wrongOperand("the name of a class is no text")
      }
      try pushGlobal(module, name)
    case UInt8(ascii: "Q"): try push(try persistent(try pop()))
    case UInt8(ascii: "R"), 0x81:  // REDUCE, NEWOBJ
      let arguments = try pop()
      try push(try call(try pop(), arguments))
    case 0x92:  // NEWOBJ_EX: arguments, and arguments by name
      _ = try pop()
      let arguments = try pop()
      try push(try call(try pop(), arguments))
    case UInt8(ascii: "b"):
      let state = try pop()
      try build(try top(), state)
    default: throw .pickle(.unsupportedOpcode(code, offset: place))
    }
    return nil
  }

  // MARK: - Input

  private mutating func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self) throws(WeightFault) -> Value {
    try input.integer()
  }

  private mutating func length() throws(WeightFault) -> Int {
    guard let length = Int(exactly: try integer(UInt64.self)) else { throw .pickle(.truncated) }
    return length
  }

  private mutating func take(_ count: Int) throws(WeightFault) -> ArraySlice<UInt8> {
    guard count <= input.remaining else { throw .pickle(.truncated) }
    guard count <= Self.textLimit else { throw .pickle(.limit(what: "bytes in a text", limit: Self.textLimit)) }
    return try input.take(count)
  }

  private mutating func text(_ count: Int) throws(WeightFault) -> String {
    guard let text = String(validating: try take(count), as: UTF8.self) else {
      throw .pickle(.malformedText(offset: place))
    }
    return text
  }

  /// A Python 2 `str`: text where it is UTF-8, else bytes.
  private mutating func pushString(_ count: Int) throws(WeightFault) {
    let bytes = try take(count)
    try push(String(validating: bytes, as: UTF8.self).map(PickleValue.text) ?? .bytes(count: count))
  }

  private mutating func pushBytes(_ count: Int) throws(WeightFault) {
    _ = try take(count)
    try push(.bytes(count: count))
  }

  /// A little-endian two's complement integer of any width; those wider than 64 bits (seeds) are kept as inert.
  private mutating func pushWide(_ count: Int) throws(WeightFault) {
    let bytes = try take(count)
    guard count <= 8 else { return try push(.inert("integer of \(count) bytes")) }
    var value = (bytes.last ?? 0) & 0x80 == 0 ? 0 : -1
    for byte in bytes.reversed() { value = value << 8 | Int(byte) }
    try push(.integer(value))
  }

  /// An integer in decimal digits, as Python 2 writes those over 32 bits (INT), sometimes with `L` behind; `01` and `00` are
  /// true and false.
  private mutating func pushDecimal(_ text: String) throws(WeightFault) {
    if text == "01" || text == "00" { return try push(.bool(text == "01")) }
    let digits = text.hasSuffix("L") ? text.dropLast() : Substring(text)
    guard let value = Int(digits) else { throw .pickle(.malformedText(offset: place)) }
    try push(.integer(value))
  }

  // MARK: - Stack and memo

  private mutating func push(_ value: PickleValue) throws(WeightFault) {
    guard stack.count < Self.stackLimit else {
      throw .pickle(.limit(what: "values on the stack", limit: Self.stackLimit))
    }
    stack.append(value)
  }

  private mutating func mark() throws(WeightFault) {
    guard marks.count < Self.stackLimit else { throw .pickle(.limit(what: "marks", limit: Self.stackLimit)) }
    marks.append(stack.count)
  }

  private func top() throws(WeightFault) -> PickleValue {
    guard let value = stack.last, stack.count > marks.last ?? 0 else {
      throw .pickle(.stackUnderflow(offset: place))
    }
    return value
  }

  private mutating func pop() throws(WeightFault) -> PickleValue {
    let value = try top()
    stack.removeLast()
    return value
  }

  private mutating func pop(_ count: Int) throws(WeightFault) -> [PickleValue] {
    guard stack.count - (marks.last ?? 0) >= count else { throw .pickle(.stackUnderflow(offset: place)) }
    defer { stack.removeLast(count) }
    return Array(stack.suffix(count))
  }

  private mutating func popToMark() throws(WeightFault) -> [PickleValue] {
    guard let height = marks.popLast() else { throw .pickle(.stackUnderflow(offset: place)) }
    return try pop(stack.count - height)
  }

  private mutating func remember(_ index: Int) throws(WeightFault) {
    guard memo.count < Self.memoLimit else { throw .pickle(.limit(what: "memos", limit: Self.memoLimit)) }
    memo[index] = try top()
  }

  private mutating func recall(_ index: Int) throws(WeightFault) {
    guard let value = memo[index] else { throw .pickle(.missingMemo(index: index, offset: place)) }
    try push(value)
  }

  private mutating func pushGlobal(_ module: String, _ name: String) throws(WeightFault) {
    let global = PickleGlobal("\(module).\(name)")
    heap.note(global, named: "\(module).\(name)")
    guard heap.globals.count <= Self.globalLimit else {
      throw .pickle(.limit(what: "functions and classes", limit: Self.globalLimit))
    }
    try push(.global(global))
  }

  // MARK: - Containers

  private mutating func append(_ values: [PickleValue]) throws(WeightFault) {
    switch try top() {
    case .list(let place): heap.append(values, toList: place)
    case .object(let place): heap.append(values, toObject: place)
    default: throw wrongOperand("items are appended to something that is no list")
    }
  }

  mutating func set(_ items: [PickleValue], in target: PickleValue) throws(WeightFault) {
    guard items.count.isMultiple(of: 2) else { throw wrongOperand("a key has no value") }
    switch target {
    case .dictionary(let place): heap.set(items, inDictionary: place)
    case .object(let place): heap.append(items, toObject: place)
    default: throw wrongOperand("keys are set in something that is no dictionary")
    }
  }
}
