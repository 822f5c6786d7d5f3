import Tensors

/// The functions and classes that a pickle of weights may name: a closed set, looked up in a table, never imported.
enum PickleGlobal: Equatable {
  case orderedDictionary
  /// `_rebuild_tensor(storage, offset, size, stride)`, `_v2` with gradient flags behind, `_v3` with an element type.
  case rebuildTensor(version: Int)
  case rebuildParameter
  /// `_rebuild_from_type_v2(function, class, arguments, state)`
  case rebuildFromType
  case storage(ElementType)
  case untypedStorage
  case elementType(ElementType)
  /// A storage or element type that exists and that no weights of ours have.
  case unsupportedElements(String)
  case size
  case tensorClass
  /// Makes a value that weights do not need and that has no effect.
  case inert(String)

  /// The entry for `module.name`; nil for everything that is not in the table.
  init?(_ name: String) {
    guard let global = Self.table[name] else { return nil }
    self = global
  }

  private static let table: [String: PickleGlobal] = {
    var table: [String: PickleGlobal] = [
      "collections.OrderedDict": .orderedDictionary,
      "torch._utils._rebuild_tensor": .rebuildTensor(version: 1),
      "torch._utils._rebuild_tensor_v2": .rebuildTensor(version: 2),
      "torch._utils._rebuild_tensor_v3": .rebuildTensor(version: 3),
      "torch._utils._rebuild_parameter": .rebuildParameter,
      "torch._utils._rebuild_parameter_with_state": .rebuildParameter,
      "torch._tensor._rebuild_from_type_v2": .rebuildFromType,
      "torch.storage.UntypedStorage": .untypedStorage,
      "torch.UntypedStorage": .untypedStorage,
      "torch.Size": .size,
      "torch.Tensor": .tensorClass,
      "torch.nn.parameter.Parameter": .tensorClass,
    ]
    let types: [(storage: String, names: [String], type: ElementType)] = [
      ("Double", ["float64", "double"], .float64), ("Float", ["float32", "float"], .float32),
      ("Half", ["float16", "half"], .float16), ("BFloat16", ["bfloat16"], .bfloat16),
      ("Long", ["int64", "long"], .int64), ("Int", ["int32", "int"], .int32), ("Short", ["int16", "short"], .int16),
      ("Char", ["int8"], .int8), ("Byte", ["uint8"], .uint8), ("Bool", ["bool"], .bool),
      ("UInt16", ["uint16"], .uint16), ("UInt32", ["uint32"], .uint32), ("UInt64", ["uint64"], .uint64),
    ]
    for (storage, names, type) in types {
      table["torch.\(storage)Storage"] = .storage(type)
      for name in names { table["torch.\(name)"] = .elementType(type) }
    }
    for name in [
      "ComplexFloatStorage", "ComplexDoubleStorage", "QInt8Storage", "QUInt8Storage", "QInt32Storage",
      "QUInt4x2Storage", "QUInt2x4Storage", "complex32", "complex64", "complex128", "qint8", "quint8", "qint32",
      "float8_e4m3fn", "float8_e5m2",
    ] {
      table["torch.\(name)"] = .unsupportedElements("torch.\(name)")
    }
    for name in [
      "torch.device", "torch.memory_format", "_codecs.encode", "builtins.set", "__builtin__.set", "builtins.frozenset",
      "__builtin__.frozenset", "builtins.bytearray", "__builtin__.bytearray", "builtins.complex", "__builtin__.complex",
      "collections.Counter", "argparse.Namespace", "numpy.dtype", "numpy.ndarray", "numpy.core.multiarray.scalar",
      "numpy._core.multiarray.scalar", "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
    ] {
      table[name] = .inert(name)
    }
    return table
  }()
}
