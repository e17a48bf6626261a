int fail(void)
{
    return LV_E_NOMEM;
}
