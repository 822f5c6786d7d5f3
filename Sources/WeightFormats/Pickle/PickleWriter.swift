/// Writes a pickle of protocol 2, the same bytes as Python's own pickler (`Modules/_pickle.c`): it remembers every object that
/// it has written, and names one that comes again by its number.
///
///     var pickle = PickleWriter()
///     pickle.reduce("collections", "OrderedDict") { $0.tuple(count: 0) { _ in } }
///     pickle.items(count: 1) { pickle, _ in pickle.text("epoch"); pickle.integer(3) }
///     let bytes = pickle.finish()
struct PickleWriter {
  private var output = ByteWriter()
  /// The numbers of globals and of texts that Python interns, by what they are.
  private var remembered: [String: Int] = [:]
  private var rememberedCount = 0

  /// Pairs that one SETITEMS takes (`BATCHSIZE`).
  private static let batchSize = 1000

  init() {
    output.append([0x80, 2])  // PROTO
  }

  /// Everything written, with the STOP behind it.
  consuming func finish() -> [UInt8] {
    operation(".")
    return output.bytes
  }

  private mutating func operation(_ code: Character) {
    guard let byte = code.asciiValue else { preconditionFailure("operations are ASCII") }
    output.append([byte])
  }

  /// Gives the object on top of the stack the next number: BINPUT, or LONG_BINPUT from 256.
  private mutating func remember() {
    numbered(rememberedCount, "q", "r")
    rememberedCount += 1
  }

  /// Fetches the object of that key, or writes and remembers it.
  private mutating func once(_ key: String, _ write: (inout PickleWriter) -> Void) {
    if let number = remembered[key] {
      numbered(number, "h", "j")  // BINGET, LONG_BINGET
    } else {
      write(&self)
      remembered[key] = rememberedCount
      remember()
    }
  }

  private mutating func numbered(_ number: Int, _ short: Character, _ long: Character) {
    operation(number < 256 ? short : long)
    if number < 256 { output.integer(UInt8(number)) } else { output.integer(UInt32(number)) }
  }

  // MARK: - Values

  /// A function or class.
  mutating func global(_ module: String, _ name: String) {
    once("global \(module) \(name)") { $0.output.append(("c" + module + "\n" + name + "\n").utf8) }
  }

  /// A text that is an object of its own each time.
  mutating func text(_ text: String) {
    unicode(text)
    remember()
  }

  /// A text that Python's compiler interns: one object wherever it stands.
  mutating func internedText(_ text: String) { once("text \(text)") { $0.unicode(text) } }

  private mutating func unicode(_ text: String) {
    let bytes = Array(text.utf8)
    operation("X")  // BINUNICODE
    output.integer(UInt32(bytes.count))
    output.append(bytes)
  }

  mutating func integer(_ value: Int) {
    if let byte = UInt8(exactly: value) {
      operation("K")  // BININT1
      output.integer(byte)
    } else if let short = UInt16(exactly: value) {
      operation("M")  // BININT2
      output.integer(short)
    } else if let int = Int32(exactly: value) {
      operation("J")  // BININT
      output.integer(int)
    } else {
      // LONG1: two's complement in as few bytes as it needs, one bit of them for the sign.
      let bits = Int.bitWidth - (value < 0 ? ~value : value).leadingZeroBitCount + 1
      let count = (bits + 7) / 8
      output.append([0x8A, UInt8(count)])
      output.append((0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) })
    }
  }

  mutating func boolean(_ value: Bool) { output.append([value ? 0x88 : 0x89]) }  // NEWTRUE, NEWFALSE

  /// A tuple of the `count` values that `write` puts down.
  mutating func tuple(count: Int, _ write: (inout PickleWriter) -> Void) {
    if count == 0 {
      operation(")")  // EMPTY_TUPLE, one object in all of Python, which is never remembered
      return
    }
    if count > 3 { operation("(") }  // MARK
    write(&self)
    output.append([count > 3 ? UInt8(ascii: "t") : 0x84 + UInt8(count)])  // TUPLE; TUPLE1, TUPLE2, TUPLE3
    remember()
  }

  /// A tuple of integers.
  mutating func tuple(_ values: [Int]) {
    tuple(count: values.count) { pickle in
      for value in values { pickle.integer(value) }
    }
  }

  // MARK: - Objects

  /// What calling the global with the tuple that `arguments` puts down gives.
  mutating func reduce(_ module: String, _ name: String, _ arguments: (inout PickleWriter) -> Void) {
    global(module, name)
    arguments(&self)
    operation("R")  // REDUCE
    remember()
  }

  /// The object outside of the pickle that the value put down by `identity` names.
  mutating func persistent(_ identity: (inout PickleWriter) -> Void) {
    identity(&self)
    operation("Q")  // BINPERSID
  }

  /// Sets `count` keys of the dictionary on top of the stack; `write` puts down a key and its value.
  mutating func items(count: Int, _ write: (inout PickleWriter, Int) -> Void) {
    for start in stride(from: 0, to: count, by: Self.batchSize) {
      let batch = start..<min(start + Self.batchSize, count)
      if batch.count > 1 { operation("(") }
      for index in batch { write(&self, index) }
      operation(batch.count > 1 ? "u" : "s")  // SETITEMS, SETITEM
    }
  }
}
