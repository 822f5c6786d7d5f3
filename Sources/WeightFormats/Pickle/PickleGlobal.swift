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
  private static let dangerousParts = words(
    """
    os posix nt sys subprocess socket eval exec getattr __builtins__ __globals__ __dict__ __class__ __bases__ __mro__
    __subclasses__ __getattribute__ __reduce__ __reduce_ex__ __import__ __code__ __loader__ __spec__
    """)

  /// Modules that start programs, load code or other pickles, or reach files, the network or Python itself.
  private static let dangerousModules = words(
    """
    importlib imp _imp _frozen_importlib _frozen_importlib_external zipimport pkgutil pkg_resources runpy shutil pty
    pickle _pickle cPickle dill cloudpickle joblib marshal shelve ctypes _ctypes cffi code codeop commands popen2
    webbrowser antigravity platform asyncio multiprocessing concurrent _posixsubprocess signal _signal pdb bdb doctest
    timeit trace profile cProfile _lsprof idlelib lib2to3 pip ensurepip venv distutils setuptools site sysconfig
    compileall py_compile zipapp tempfile operator _operator inspect gc threading _thread http urllib urllib2 urllib3
    requests httplib httpx aiohttp ftplib smtplib smtpd telnetlib imaplib poplib nntplib xmlrpc socketserver websockets
    paramiko pexpect ssl _ssl sqlite3 tarfile zipfile fileinput linecache mmap fcntl pydoc cgitb _osx_support
    _aix_support _pyrepl IPython
    """)

  /// Parts of libraries that do the same.
  private static let dangerousPackages = [
    "test.support.", "logging.config.", "logging.handlers.", "numpy.testing.", "numpy.f2py.", "numpy.distutils.",
    "torch.hub.",
    "torch.jit.", "torch.fx.", "torch.ops.", "torch.package.", "torch._dynamo.", "torch._inductor.",
    "torch.distributed.rpc.", "torch.multiprocessing.", "torch.testing.", "torch.utils.bottleneck.",
    "torch.utils.collect_env.", "torch.utils.cpp_extension.", "torch.utils._config_module.",
    "torch.utils.data.datapipes.", "torch.utils.model_zoo.",
  ]

  /// Functions, of whatever module, that do the same.
  private static let dangerousFunctions = words(
    """
    setattr delattr execfile apply open open_code FileIO FileHandler file compile globals locals vars input breakpoint
    exit quit load _load loads unsafe_load full_load load_url load_state_dict_from_url _load_from_bytes read_pickle
    system popen runstring getlinesfrom_url FunctionType LambdaType CodeType MethodType write_text write_bytes unlink
    rmtree _get_command_stdout
    """)

  private static func words(_ text: String) -> Set<String> {
    Set(text.split(whereSeparator: \.isWhitespace).map(String.init))
  }

  private static func trust(inClass name: String) -> Trust {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    if parts.contains(where: dangerousParts.contains) || parts.first.map(dangerousModules.contains) == true
      || parts.last.map(dangerousFunctions.contains) == true || dangerousPackages.contains(where: name.hasPrefix)
    {
      return .dangerous
    }
    return moduleLibraries.contains(where: name.hasPrefix) ? .module : .unknown
  }
}
