import Testing

@testable import WeightFormats

@Suite struct PickleGlobalTests {
  /// What published attacks on loaders of pickles have called.
  private static let attacks = """
    os.system posix.system nt.system os.popen os.execv os.remove sys.exit subprocess.Popen subprocess.check_output
    _posixsubprocess.fork_exec commands.getoutput popen2.popen3 builtins.eval builtins.exec builtins.compile
    builtins.getattr builtins.__import__ builtins.open builtins.breakpoint __builtin__.eval __builtin__.execfile
    __builtin__.apply __builtin__.file runpy.run_path runpy._run_code importlib.import_module
    importlib._bootstrap._load pkgutil.resolve_name zipimport.zipimporter pty.spawn socket.create_connection
    ssl.get_server_certificate ctypes.CDLL ctypes.util.find_library shutil.rmtree webbrowser.open
    antigravity.webbrowser.open operator.methodcaller operator.attrgetter _operator.attrgetter torch.load
    torch.serialization.load torch.storage._load_from_bytes torch.hub.load torch.jit.load torch.ops.load_library
    torch._dynamo.guards.GuardBuilder.get torch._inductor.codecache.compile_file
    torch.fx.graph_module.reduce_graph_module
    torch.fx.experimental.symbolic_shapes.ShapeEnv.evaluate_guards_expression
    torch.jit.unsupported_tensor_ops.execWrapper torch.utils._config_module.ConfigModule.load_config
    torch.utils.bottleneck.__main__.run_cprofile torch.utils.collect_env.run torch.utils.cpp_extension.load_inline
    torch.utils.data.datapipes.utils.decoder.basichandlers torch.distributed.rpc.rpc_sync numpy.load
    numpy.testing._private.utils.runstring numpy.f2py.crackfortran.param_eval numpy.f2py.crackfortran.myeval
    numpy.distutils.exec_command.exec_command pickle.loads _pickle.loads dill.loads cloudpickle.loads joblib.load
    marshal.loads pandas.read_pickle yaml.unsafe_load pip.main pip._internal.main ensurepip._run_pip venv.create
    distutils.spawn.spawn setuptools.build_meta.build_wheel timeit.timeit cProfile.run cProfile.runctx
    profile.Profile.run trace.Trace.run pdb.run bdb.Bdb.run doctest.debug_script code.InteractiveInterpreter.runcode
    codeop.compile_command idlelib.run.Executive.runcode idlelib.debugobj.ObjectTreeItem.SetText
    lib2to3.pgen2.grammar.Grammar.loads lib2to3.pgen2.pgen.ParserGenerator.make_label asyncio.create_subprocess_shell
    asyncio.unix_events._UnixSubprocessTransport._start multiprocessing.util.spawnv_passfds
    multiprocessing.process.BaseProcess.start concurrent.futures.process.ProcessPoolExecutor threading.Thread
    signal.raise_signal logging.config.listen logging.FileHandler logging.handlers.SocketHandler pydoc.pipepager
    pydoc.locate cgitb.lookup uuid._get_command_stdout _osx_support._read_output _aix_support._read_cmd_output
    _pyrepl.pager.pipe_pager linecache.getline test.support.script_helper.assert_python_ok io.open _io.FileIO
    codecs.open pathlib.Path.write_text fileinput.input urllib.request.urlopen http.client.HTTPSConnection
    requests.get ftplib.FTP smtplib.SMTP sqlite3.connect tarfile.open types.FunctionType types.CodeType gc.get_objects
    inspect.getattr_static site.main tempfile.mktemp mmap.mmap
    """

  @Test func `what attacks call is dangerous`() {
    for name in Self.attacks.split(whereSeparator: \.isWhitespace).map(String.init) {
      #expect(PickleGlobal(name).trust == .dangerous, "\(name)")
      // As a dotted name behind any module's.
      #expect(PickleGlobal("torch.serialization.os." + name).trust == .dangerous)
    }
  }

  @Test(
    arguments: [
      ("collections.OrderedDict", nil), ("torch._utils._rebuild_tensor_v2", nil), ("torch.FloatStorage", nil),
      ("builtins.set", .harmless), ("numpy.core.multiarray.scalar", .harmless), ("torch.device", .harmless),
      ("torch.nn.modules.conv.Conv2d", .module), ("torch.nn.parallel.data_parallel.DataParallel", .module),
      ("torch.nn.parallel.distributed.DistributedDataParallel", .module),
      ("torchvision.models.densenet.DenseNet", .module), ("torchxrayvision.models._DenseLayer", .module),
      ("monai.networks.nets.densenet.DenseNet121", .module), ("__main__.Net", .unknown), ("model.CheXNet", .unknown),
      ("test.DenseNet121", .unknown), ("pathlib.PosixPath", .unknown), ("logging.getLogger", .unknown),
      ("functools.partial", .unknown), ("torch.optim.adam.Adam", .unknown), ("osmium.system_of", .unknown),
    ] as [(String, PickleGlobal.Trust?)])
  func `what files of networks name is not`(name: String, trust: PickleGlobal.Trust?) {
    #expect(PickleGlobal(name).trust == trust)
  }
}
