char *make(void)
{
    return (char *)lv_alloc(1);
}
