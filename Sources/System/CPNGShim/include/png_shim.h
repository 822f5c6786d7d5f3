void png_shim_none(void);
