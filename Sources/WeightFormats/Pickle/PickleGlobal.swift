import Tensors

/// A function or class that a pickle names: looked up in a closed table, never imported.
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
  /// `copy_reg._reconstructor(class, base, state)`: how Python makes objects in pickles of old protocols.
  case reconstructor
  /// Anything else, by its name. What it makes is an inert object.
  case foreign(String, Trust)

  /// How far something is trusted that weights do not need.
  enum Trust: String, Sendable {
    /// A value that stands beside weights: a set, a NumPy scalar, a device.
    case harmless
    /// A class of a known library of networks, whose objects hold their tensors as `torch.nn.Module` does.
    case module
    case unknown
    /// It runs commands, opens files, or reaches into Python itself.
    case dangerous
  }

  init(_ name: String) { self = Self.table[name] ?? .foreign(name, Self.trust(inClass: name)) }

  /// How far the one of this name is trusted; nil for those that weights are made of.
  var trust: Trust? {
    switch self {
    case .foreign(_, let trust): trust
    case .orderedDictionary, .rebuildTensor, .rebuildParameter, .rebuildFromType, .storage, .untypedStorage,
      .elementType,
      .unsupportedElements, .size, .tensorClass, .reconstructor:
      nil
    }
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
      "torch.nn.parameter.Buffer": .tensorClass,
      "torch.autograd.variable.Variable": .tensorClass,
      "copy_reg._reconstructor": .reconstructor,
      "copyreg._reconstructor": .reconstructor,
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
      table["torch.cuda.\(storage)Storage"] = .storage(type)
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
      "torch.device", "torch.memory_format", "torch.serialization._get_layout", "_codecs.encode", "builtins.set",
      "__builtin__.set", "builtins.frozenset", "__builtin__.frozenset", "builtins.bytearray", "__builtin__.bytearray",
      "builtins.complex", "__builtin__.complex", "builtins.object", "__builtin__.object", "builtins.slice",
      "collections.Counter", "collections.defaultdict", "argparse.Namespace", "datetime.datetime", "numpy.dtype",
      "numpy.ndarray", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar",
      "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
    ] {
      table[name] = .foreign(name, .harmless)
    }
    return table
  }()

  // MARK: - Trust

  /// The libraries whose modules are read without being asked: their classes hold nothing but modules, parameters and buffers.
  private static let moduleLibraries = [
    "torch.nn.", "torchvision.models.", "torchvision.ops.", "torchxrayvision.models.", "monai.networks.",
    "timm.models.",
    "timm.layers.",
  ]

  /// By which attacks act, wherever in a name: `torch.serialization.os.system` is `os.system`.
  private static let dangerousParts: Set<String> = [
    "os", "posix", "nt", "sys", "subprocess", "socket", "eval", "exec", "getattr", "__builtins__", "__globals__",
    "__subclasses__", "__getattribute__", "__reduce__", "__reduce_ex__", "__import__",
  ]

  /// Modules of Python that start programs, load code or other pickles, or reach files and the network.
  private static let dangerousModules: Set<String> = [
    "importlib", "imp", "pkgutil", "runpy", "shutil", "pty", "pickle", "_pickle", "cPickle", "dill", "cloudpickle",
    "joblib",
    "marshal", "shelve", "ctypes", "_ctypes", "cffi", "code", "codeop", "commands", "popen2", "webbrowser", "platform",
    "asyncio", "multiprocessing", "concurrent", "_posixsubprocess", "signal", "pdb", "bdb", "doctest", "timeit",
    "trace",
    "profile", "cProfile", "idlelib", "lib2to3", "pip", "ensurepip", "venv", "distutils", "setuptools", "site",
    "tempfile",
    "operator", "_operator", "inspect", "gc", "threading", "_thread", "http", "urllib", "urllib2", "requests",
    "httplib",
    "ftplib", "smtplib", "telnetlib", "xmlrpc", "aiohttp", "ssl", "sqlite3", "tarfile", "zipfile",
  ]

  /// Functions, of whatever module, that do the same.
  private static let dangerousFunctions: Set<String> = [
    "setattr", "delattr", "execfile", "open", "compile", "globals", "locals", "vars", "input", "breakpoint", "load",
    "_load",
    "loads", "load_url", "load_state_dict_from_url", "system", "popen", "runstring", "getlinesfrom_url",
  ]

  private static func trust(inClass name: String) -> Trust {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    if parts.contains(where: dangerousParts.contains) || parts.first.map(dangerousModules.contains) == true
      || parts.last.map(dangerousFunctions.contains) == true
    {
      return .dangerous
    }
    return moduleLibraries.contains(where: name.hasPrefix) ? .module : .unknown
  }
}
