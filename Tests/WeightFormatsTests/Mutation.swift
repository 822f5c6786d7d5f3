import Platform

/// Draws changes as they come to files of people who want a reader to break: each a function of (seed, round) alone.
struct Mutator {
  var random: CounterRandom

  init(seed: UInt64, round: Int) { random = CounterRandom(seed: seed, purpose: .shuffle, sample: round) }

  mutating func below(_ bound: Int) -> Int { random.below(max(bound, 1)) }
  mutating func chance(_ one: Int, in all: Int) -> Bool { random.below(all) < one }
  mutating func pick<Values: RandomAccessCollection>(_ values: Values) -> Values.Element {
    values[values.index(values.startIndex, offsetBy: random.below(values.count))]
  }

  /// An integer that readers stumble over: edges of the widths, or near `value`.
  mutating func integer(near value: UInt64 = 0) -> UInt64 {
    switch below(4) {
    case 0: value &+ UInt64(below(5)) &- 2
    case 1: random.next() >> UInt64(below(64))
    case 2: [0, 1, 2, 4, 8, 12, 16, 46, 127, 255, 1000][below(11)]
    default:
      [
        0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32, 1 << 60, 1 << 61,
        1 << 62, (1 << 63) - 1, 1 << 63, .max, .max - 7,
      ][below(17)]
    }
  }

  /// Writes the low `width` bytes of `value` at `offset`, little-endian, as far as the bytes go.
  static func put(_ value: UInt64, width: Int, at offset: Int, in bytes: inout [UInt8]) {
    for place in 0..<width where offset + place < bytes.count {
      bytes[offset + place] = UInt8(truncatingIfNeeded: value >> UInt64(8 * place))
    }
  }

  static func get(width: Int, at offset: Int, in bytes: [UInt8]) -> UInt64 {
    (0..<width).reduce(0) { $0 | UInt64(offset + $1 < bytes.count ? bytes[offset + $1] : 0) << UInt64(8 * $1) }
  }

  /// One change that knows nothing of the format.
  mutating func changeBytes(_ bytes: inout [UInt8]) {
    guard !bytes.isEmpty else { return bytes.append(UInt8(below(256))) }
    let place = below(bytes.count)
    let count = min(1 + below(16), bytes.count - place)
    switch below(8) {
    case 0, 1: bytes[place] ^= 1 << UInt8(below(8))
    case 2: bytes[place] = UInt8(below(256))
    case 3:
      let width = 1 << below(4)
      Self.put(integer(near: Self.get(width: width, at: place, in: bytes)), width: width, at: place, in: &bytes)
    case 4: bytes.removeSubrange(place..<place + count)
    case 5: bytes.insert(contentsOf: (0..<count).map { _ in UInt8(below(256)) }, at: place)
    case 6: bytes.insert(contentsOf: bytes[place..<place + count], at: below(bytes.count))
    default: bytes.removeSubrange(place...)
    }
  }
}

// MARK: - Zip

extension Mutator {
  /// Offsets and widths of the fields of each record of a zip archive, by its signature (APPNOTE 4.3).
  private static let zipFields: [UInt32: [(offset: Int, width: Int)]] = [
    0x0403_4B50: [(6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)],
    0x0201_4B50: [
      (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (34, 2), (38, 4), (42, 4),
    ],
    0x0605_4B50: [(4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)],
    0x0606_4B50: [(4, 8), (16, 4), (20, 4), (24, 8), (32, 8), (40, 8), (48, 8)],
    0x0706_4B50: [(4, 4), (8, 8), (16, 4)],
    0x0807_4B50: [(4, 4), (8, 4), (12, 4)],
  ]

  /// Where the records of an archive stand.
  static func zipRecords(_ bytes: [UInt8]) -> [(offset: Int, signature: UInt32)] {
    (0..<max(0, bytes.count - 3)).compactMap { offset in
      guard bytes[offset] == 0x50, bytes[offset + 1] == 0x4B else { return nil }
      let signature = UInt32(get(width: 4, at: offset, in: bytes))
      return zipFields[signature].map { _ in (offset, signature) }
    }
  }

  /// One change of the archive whose records stand at `records`: of a field, of the same field in all records of a kind (so
  /// that headers and directory agree), of a name, or of any bytes.
  mutating func changeZip(_ bytes: inout [UInt8], records: [(offset: Int, signature: UInt32)]) {
    guard !records.isEmpty, !chance(1, in: 6) else { return changeBytes(&bytes) }
    let (offset, signature) = pick(records)
    let (place, width) = pick(Self.zipFields[signature] ?? [(4, 2)])
    let value = integer(near: Self.get(width: width, at: offset + place, in: bytes))
    switch below(5) {
    case 0:
      for record in records where record.signature == signature {
        Self.put(value, width: width, at: record.offset + place, in: &bytes)
      }
    case 1:
      // The fields of the local header stand two bytes further in the directory.
      for record in records where record.signature == 0x0403_4B50 || record.signature == 0x0201_4B50 {
        let shift = record.signature == signature ? 0 : signature == 0x0403_4B50 ? 2 : -2
        Self.put(value, width: width, at: record.offset + place + shift, in: &bytes)
      }
    case 2:
      // Another record's field.
      let other = pick(records)
      let copied = Self.get(width: width, at: other.offset + place, in: bytes)
      Self.put(copied, width: width, at: offset + place, in: &bytes)
    default: Self.put(value, width: width, at: offset + place, in: &bytes)
    }
  }
}

// MARK: - Pickle

/// A pickle, cut into its operations.
struct PickleOperations {
  var operations: [[UInt8]] = []

  /// How the bytes behind an operation's code are counted.
  private enum Argument {
    case bytes(Int)
    /// A length in so many bytes, and as many more.
    case counted(Int)
    case lines(Int)
  }

  private static let arguments: [UInt8: Argument] = {
    var table: [UInt8: Argument] = [
      0x80: .bytes(1), 0x95: .bytes(8), 0x8A: .counted(1), 0x8B: .counted(4), 0x8C: .counted(1), 0x8D: .counted(8),
      0x8E: .counted(8), 0x96: .counted(8), 0x82: .bytes(1), 0x83: .bytes(2), 0x84: .bytes(4),
    ]
    let letters: [(String, Argument)] = [
      ("K", .bytes(1)), ("M", .bytes(2)), ("J", .bytes(4)), ("G", .bytes(8)), ("qh", .bytes(1)), ("rj", .bytes(4)),
      ("X", .counted(4)), ("UC", .counted(1)), ("TB", .counted(4)), ("ILSVFPpg", .lines(1)), ("ci", .lines(2)),
    ]
    for (codes, argument) in letters { for code in codes.utf8 { table[code] = argument } }
    return table
  }()

  /// The operations of the valid pickle that begins at `offset` of `bytes`.
  init(_ bytes: [UInt8], from offset: Int = 0) {
    var offset = offset
    while offset < bytes.count, operations.last != [0x2E] {
      let start = offset
      offset += 1
      switch Self.arguments[bytes[start]] {
      case .bytes(let count): offset += count
      case .counted(let width): offset += width + Int(Mutator.get(width: width, at: offset, in: bytes))
      case .lines(let count):
        for _ in 0..<count { offset = (bytes[offset...].firstIndex(of: 0x0A) ?? bytes.count - 1) + 1 }
      case nil: break
      }
      operations.append(Array(bytes[start..<min(offset, bytes.count)]))
    }
  }

  var bytes: [UInt8] { Array(operations.joined()) }

  /// Operations of every kind that the machine knows, and some that it does not.
  private static let vocabulary: [[UInt8]] =
    [
      [0x80, 2], [0x80, 9], [0x95, 9, 0, 0, 0, 0, 0, 0, 0], [0x8A, 2, 1, 1], [0x8B, 1, 0, 0, 0, 7], [0x8C, 1, 0x77],
      [0x88], [0x89], [0x85], [0x86], [0x87], [0x8F], [0x90], [0x91], [0x92], [0x93], [0x94], [0x81], [0x82, 1],
      Array("K\u{1}".utf8), Array("M\u{1}\u{1}".utf8), [0x4A, 0xFF, 0xFF, 0xFF, 0xFF], [0x47, 0, 0, 0, 0, 0, 0, 0, 0],
      Array("I7\n".utf8), Array("I01\n".utf8), Array("L9L\n".utf8), [0x58, 1, 0, 0, 0, 0x77], [0x55, 1, 0x77],
      [0x71, 0], [0x68, 0], [0x72, 1, 0, 0, 0], [0x6A, 1, 0, 0, 0], Array("ios\nsystem\n".utf8),
      Array("ccollections\nOrderedDict\n".utf8), Array("ctorch._utils\n_rebuild_tensor_v2\n".utf8),
      Array("ctorch._utils\n_rebuild_tensor_v3\n".utf8), Array("ctorch._utils\n_rebuild_tensor\n".utf8),
      Array("ctorch._utils\n_rebuild_parameter\n".utf8), Array("ctorch._tensor\n_rebuild_from_type_v2\n".utf8),
      Array("ctorch\nFloatStorage\n".utf8), Array("ctorch\nByteStorage\n".utf8), Array("ctorch\nSize\n".utf8),
      Array("ctorch.storage\nUntypedStorage\n".utf8), Array("ctorch\nfloat64\n".utf8), Array("ctorch\nTensor\n".utf8),
      Array("ctorch.nn\nLinear\n".utf8), Array("ca\nB\n".utf8), Array("ccopy_reg\n_reconstructor\n".utf8),
    ] + "N}])(tldaesu012RbQo.".utf8.map { [$0] }

  /// One change of the operations.
  mutating func change(_ mutator: inout Mutator, other: PickleOperations) {
    if operations.isEmpty { operations.append(mutator.pick(Self.vocabulary)) }
    let place = mutator.below(operations.count)
    let count = min(1 + mutator.below(4), operations.count - place)
    switch mutator.below(10) {
    case 0: operations.removeSubrange(place..<place + count)
    case 1: operations.insert(contentsOf: operations[place..<place + count], at: mutator.below(operations.count))
    case 2: operations.swapAt(place, mutator.below(operations.count))
    case 3: operations[place] = mutator.pick(Self.vocabulary)
    case 4: operations.insert(mutator.pick(Self.vocabulary), at: place)
    case 5:
      let start = mutator.below(other.operations.count)
      operations.insert(contentsOf: other.operations[start..<min(start + 1 + count, other.operations.count)], at: place)
    case 6: changeNumber(&mutator, at: mutator.pick(operations.indices.filter { operations[$0].count > 1 } + [place]))
    case 7:
      let texts = operations.indices.filter { operations[$0].count > 5 }
      let target = mutator.pick(texts + [place])
      var bytes = Array(operations[target].dropFirst())
      mutator.changeBytes(&bytes)
      operations[target] = [operations[target][0]] + bytes
    case 8: operations[place][0] = UInt8(mutator.below(256))
    default:
      let times = 1 + mutator.below(40)
      operations.insert(contentsOf: repeatElement(operations[place], count: times), at: place)
    }
  }

  private mutating func changeNumber(_ mutator: inout Mutator, at place: Int) {
    let width = operations[place].count - 1
    guard (1...8).contains(width) else { return operations[place].append(UInt8(mutator.below(256))) }
    let old = Mutator.get(width: width, at: 1, in: operations[place])
    // An integer of one byte can be written wider.
    if operations[place][0] == 0x4B, mutator.chance(1, in: 2) {
      operations[place] = [0x8A, 8] + [UInt8](repeating: 0, count: 8)
      return Mutator.put(mutator.integer(near: old), width: 8, at: 2, in: &operations[place])
    }
    Mutator.put(mutator.integer(near: old), width: width, at: 1, in: &operations[place])
  }
}

// MARK: - JSON

extension Mutator {
  private static let words = [
    "F32", "F64", "F16", "BF16", "I64", "I8", "BOOL", "U64", "F24", "", "dtype", "shape", "a",
  ]

  /// One change of a JSON document, somewhere in it.
  mutating func changeJSON(_ value: JSONValue, depth: Int = 0) -> JSONValue {
    switch value {
    case .object(let object) where object.count > 0 && (depth < 2 ? !chance(1, in: 20) : !chance(1, in: 4)):
      var changed = object
      let key = pick(object.keys)
      switch below(12) {
      case 0: changed[key] = nil
      case 1: changed[pick(Self.words)] = object[key]
      case 2: changed["__metadata__"] = object[key]
      case 3: changed[String(below(9))] = object[pick(object.keys)]
      default: changed[key] = changeJSON(object[key] ?? .null, depth: depth + 1)
      }
      return .object(changed)
    case .array(let values) where !values.isEmpty && !chance(1, in: 8):
      var changed = values
      let place = below(values.count)
      switch below(5) {
      case 0: changed.remove(at: place)
      case 1: changed.insert(.integer(Int64(truncatingIfNeeded: integer())), at: place)
      default: changed[place] = changeJSON(values[place], depth: depth + 1)
      }
      return .array(changed)
    case .integer(let number) where !chance(1, in: 8):
      return .integer(Int64(truncatingIfNeeded: integer(near: UInt64(bitPattern: number))))
    default:
      return switch below(8) {
      case 0: .null
      case 1: .bool(true)
      case 2: .number(1.5)
      case 3: .integer(Int64(truncatingIfNeeded: integer()))
      case 4: .array([value])
      case 5: .object(JSONObject([("a", value)]))
      default: .string(pick(Self.words))
      }
    }
  }
}
